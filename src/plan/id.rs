//! The name of a plan: 128 random bits, so that nobody finds one that they were not given.

use std::fmt;
use std::str::FromStr;

use ring::rand::{SecureRandom, SystemRandom};

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlanId([u8; 16]);

#[derive(Debug, thiserror::Error)]
pub enum PlanIdError {
    #[error("a plan's id is 32 hexadecimal digits, as `plan` gave them")]
    Malformed,
    #[error("the kernel gave no random bits")]
    NoRandom,
}

impl PlanId {
    pub fn random() -> Result<Self, PlanIdError> {
        let mut bits = [0; 16];
        SystemRandom::new().fill(&mut bits).map_err(|_| PlanIdError::NoRandom)?;
        Ok(Self(bits))
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(to, "{byte:02x}"))
    }
}

impl fmt::Debug for PlanId {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, to)
    }
}

impl FromStr for PlanId {
    type Err = PlanIdError;

    fn from_str(text: &str) -> Result<Self, PlanIdError> {
        let text = text.trim();
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(PlanIdError::Malformed);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| PlanIdError::Malformed)?;
        Ok(Self(number.to_be_bytes()))
    }
}
