//! The security module's label that a command must carry: the one that the container's init has.
//!
//! The label is written by the command's own process, after it has entered, to a file that it opened before: inside,
//! /proc is the container's and may be a fake that swallows the write (CVE-2019-16884, CVE-2023-28642).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;

use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

/// A label to take on at exec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    module: Module,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Module {
    /// AppArmor with a directory of its own, beside other modules.
    AppArmor,
    /// AppArmor or SELinux as the one module that speaks through `attr/`.
    AppArmorAlone,
    SeLinux,
}

impl Module {
    fn exec_file(self) -> &'static str {
        match self {
            Self::AppArmor => "/proc/thread-self/attr/apparmor/exec",
            Self::AppArmorAlone | Self::SeLinux => "/proc/thread-self/attr/exec",
        }
    }
}

impl Label {
    /// The label of a container's init; none where no module labels it, or where it is unconfined.
    pub fn of_init(proc: &Path) -> io::Result<Option<Self>> {
        for (file, stacked) in [("attr/apparmor/current", true), ("attr/current", false)] {
            let text = match File::open(proc.join(file)).and_then(|file| super::sys::read_small(file, 4096)) {
                Ok(text) => text,
                // No such module, or (EINVAL) none that speaks through this file.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINVAL)) => continue,
                Err(error) => return Err(error),
            };
            // Whoever may not even look there is told so by SELinux.
            let module = match (stacked, Path::new("/sys/fs/selinux/enforce").try_exists().unwrap_or(true)) {
                (true, _) => Module::AppArmor,
                (false, true) => Module::SeLinux,
                (false, false) => Module::AppArmorAlone,
            };
            return Ok(parse(module, &text));
        }
        Ok(None)
    }

    /// The text as the kernel takes it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Opens the file that takes the label, while /proc is still the host's.
    pub fn open(&self) -> io::Result<File> {
        let file = OpenOptions::new().write(true).open(self.module.exec_file())?;
        if fstatfs(&file)?.filesystem_type() != PROC_SUPER_MAGIC {
            return Err(io::Error::other(format!(
                "{} is not in a proc file system",
                self.module.exec_file()
            )));
        }
        Ok(file)
    }

    /// Takes the label on at the next exec.
    pub fn write(&self, mut file: &File) -> io::Result<()> {
        let order = match self.module {
            Module::SeLinux => self.text.clone(),
            Module::AppArmor | Module::AppArmorAlone => format!("exec {}", self.text),
        };
        // One write: the kernel takes the whole order or none of it.
        match file.write(order.as_bytes())? {
            written if written == order.len() => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}

/// Where AppArmor says and takes the label of this very process.
const OWN: &str = "/proc/thread-self/attr/apparmor/current";

/// Whether AppArmor holds this program in a profile of its own. Asked before the first birth: nothing but a start by its
/// service puts it into one.
pub fn is_own_profile() -> bool {
    static OWN_PROFILE: OnceLock<bool> = OnceLock::new();
    *OWN_PROFILE.get_or_init(|| {
        let text = File::open(OWN).and_then(|file| super::sys::read_small(file, 4096));
        text.is_ok_and(|text| parse(Module::AppArmor, &text).is_some())
    })
}

/// Leaves that profile for good, while /proc is still the host's: what is born for a container begins as what lxc-attach
/// begins as. Later would be too late: under no_new_privs no profile can be left.
pub fn leave_own_profile() -> io::Result<()> {
    if !is_own_profile() {
        return Ok(());
    }
    OpenOptions::new().write(true).open(OWN)?.write_all(b"changeprofile unconfined")
}

/// AppArmor writes `name (mode)`; a stacked name has spaces of its own nowhere but before that.
fn parse(module: Module, text: &str) -> Option<Label> {
    let text = text.trim_end_matches(['\0', '\n']);
    let text = match module {
        Module::SeLinux => text,
        _ => match text.rsplit_once(" (") {
            Some((name, mode)) if mode.ends_with(')') => name,
            _ => text,
        },
    };
    (!text.is_empty() && text != "unconfined").then(|| Label { module, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_the_name_without_its_mode() {
        let stacked = "lxc-101_</var/lib/lxc>//&:lxc-101_<-var-lib-lxc>:unconfined";
        let selinux = "system_u:system_r:container_t:s0:c1,c2";
        for (module, text, name) in [
            (Module::AppArmor, format!("{stacked} (enforce)\n"), Some(stacked)),
            (Module::AppArmor, "unconfined\n".into(), None),
            (
                Module::AppArmorAlone,
                "lxc-container-default-cgns (enforce)".into(),
                Some("lxc-container-default-cgns"),
            ),
            (Module::SeLinux, format!("{selinux}\0"), Some(selinux)),
        ] {
            assert_eq!(parse(module, &text).as_ref().map(Label::text), name, "{text}");
        }
    }
}
