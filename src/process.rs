//! Which process a pid means.

/// When the process started, in clock ticks since boot: with the pid, an identity that a later process of the same
/// pid does not have. None when there is no such process.
pub fn start_time(pid: i32) -> Option<u64> {
    Stat::of(pid)?.number(22)
}

/// Whether the process has ended, or is on its way there. The init of a pid namespace may be for a while: it waits for
/// every other process of it.
pub fn is_ending(pid: i32) -> bool {
    /// The kernel's PF_EXITING.
    const EXITING: u64 = 0x4;
    match Stat::read(pid) {
        Ok(stat) => stat.number(9).is_none_or(|flags| flags & EXITING != 0),
        // Out of descriptors, say: that tells nothing of the process.
        Err(error) => matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)),
    }
}

/// `/proc/<pid>/stat`, its fields by their numbers in proc(5).
pub struct Stat(String);

impl Stat {
    /// None when there is no such process.
    pub fn of(pid: i32) -> Option<Self> {
        Self::read(pid).ok()
    }

    fn read(pid: i32) -> std::io::Result<Self> {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).map(Self)
    }

    /// A letter: `R` runs, `Z` has ended and nobody has taken that in, …
    pub fn state(&self) -> Option<&str> {
        self.field(3)
    }

    pub fn parent(&self) -> Option<i32> {
        self.field(4)?.parse().ok()
    }

    pub fn threads(&self) -> Option<u64> {
        self.number(20)
    }

    fn number(&self, field: usize) -> Option<u64> {
        self.field(field)?.parse().ok()
    }

    fn field(&self, field: usize) -> Option<&str> {
        // The name, field 2, stands in brackets and may hold anything.
        self.0.rsplit_once(')')?.1.split_ascii_whitespace().nth(field.checked_sub(3)?)
    }
}

/// What a security module holds a process by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// Its profile, with the mode behind it: `provostd (enforce)`; or `unconfined`.
    AppArmor(String),
    /// Its context: `system_u:system_r:provostd_t:s0`.
    SeLinux(String),
}

impl Label {
    /// `pid`: a number, or `self`. None where neither module is on.
    pub fn of(pid: &str) -> std::io::Result<Option<Self>> {
        for file in ["attr/apparmor/current", "attr/current"] {
            match std::fs::read_to_string(format!("/proc/{pid}/{file}")) {
                Ok(text) => return Ok(Self::parse(&text)),
                // No such module, or (EINVAL) none that speaks through this file.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINVAL)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.trim_end_matches(['\0', '\n']);
        let is_profile = text == "unconfined" || text.ends_with(')');
        match text.split(':').count() {
            _ if is_profile => Some(Self::AppArmor(text.to_owned())),
            3.. => Some(Self::SeLinux(text.to_owned())),
            _ => None,
        }
    }

    /// As the module writes it.
    pub fn text(&self) -> &str {
        let (Self::AppArmor(text) | Self::SeLinux(text)) = self;
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Label, Stat, is_ending, start_time};

    #[test]
    fn this_process_has_a_start_and_none_has_pid_zero() {
        assert!(start_time(std::process::id() as i32).is_some());
        assert_eq!(start_time(0), None);
        assert!(is_ending(0) && !is_ending(std::process::id() as i32));
    }

    #[test]
    fn a_name_that_looks_like_fields_is_none() {
        let stat = Stat("7 (a) Z 1 (b)) S 5 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 3 0 99".into());
        assert_eq!((stat.state(), stat.parent(), stat.threads()), (Some("S"), Some(5), Some(3)));
        assert_eq!(stat.number(22), Some(99));
    }

    #[test]
    fn a_label_is_of_the_module_that_writes_so() {
        let apparmor = |text: &str| Some(Label::AppArmor(text.into()));
        for (text, label) in [
            ("provostd (enforce)\n", apparmor("provostd (enforce)")),
            ("unconfined\n", apparmor("unconfined")),
            (
                ":lxc-101_<-var-lib-lxc>:unconfined (enforce)",
                apparmor(":lxc-101_<-var-lib-lxc>:unconfined (enforce)"),
            ),
            (
                "system_u:system_r:provostd_t:s0\0",
                Some(Label::SeLinux("system_u:system_r:provostd_t:s0".into())),
            ),
            ("kernel", None),
            ("", None),
        ] {
            assert_eq!(Label::parse(text), label, "{text}");
        }
        assert!(Label::of("0").unwrap().is_none());
        assert!(Label::of("self").is_ok());
    }
}
