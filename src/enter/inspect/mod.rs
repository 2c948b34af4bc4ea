//! (to be replaced)
use nix::errno::Errno;
pub const KEPT_CAPABILITIES: u64 = 1 << 2;
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InspectError(pub Errno);
impl InspectError {
    pub fn errno(&self) -> Errno {
        self.0
    }
}
pub struct Lane;
impl Lane {
    pub fn probe() -> Result<Self, InspectError> {
        Ok(Self)
    }
    pub fn abi(&self) -> u32 {
        7
    }
    pub fn meets(&self, floor: u32) -> bool {
        self.abi() >= floor
    }
    pub fn missing(&self) -> Vec<String> {
        vec![]
    }
}
pub fn confine(_: &Lane) -> Result<(), InspectError> {
    Ok(())
}
