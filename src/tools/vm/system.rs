//! What runs in a guest, and how a command gets user, directory and environment there: the agent starts programs as its own
//! root and nothing else.
//!
//! All of it is done by programs that replace themselves by the next (setsid, chroot, env): no shell reads a word of the
//! caller's, the process that the agent watches is the command itself, and it leads a process group by which it can be ended.

use serde::Deserialize;

use crate::tools::answer::Failure;

/// As the agent tells of it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct OsInfo {
    id: Option<String>,
    name: Option<String>,
    pretty_name: Option<String>,
    kernel_release: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum System {
    Linux,
    /// Its name.
    Other(String),
    /// Why it is not known.
    Unknown(String),
}

const PATH: &str =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin";

impl System {
    pub fn of(info: &OsInfo) -> Self {
        let told = [&info.id, &info.name, &info.pretty_name].into_iter().flatten();
        let words: Vec<String> = told.map(|word| word.to_lowercase()).collect();
        let is = |piece: &str| words.iter().any(|word| word.contains(piece));
        let shown = || {
            let name = info.pretty_name.as_ref().or(info.name.as_ref()).or(info.id.as_ref());
            crate::text::brief(name.map_or("", String::as_str), 64)
        };
        if ["windows", "bsd", "darwin", "macos", "dragonfly", "solaris", "illumos", "omnios"]
            .into_iter()
            .any(is)
        {
            return Self::Other(shown());
        }
        match &info.kernel_release {
            Some(_) => Self::Linux,
            None => Self::Unknown("its agent names no kernel".to_owned()),
        }
    }

    pub fn is_linux(&self) -> bool {
        *self == Self::Linux
    }

    /// For messages.
    pub fn why_not_linux(&self) -> String {
        match self {
            Self::Linux => String::new(),
            Self::Other(name) => format!("the guest runs {name}"),
            Self::Unknown(why) => format!("what the guest runs is not known ({why})"),
        }
    }
}

/// How a command is started.
#[derive(Debug, Default)]
pub struct Manner<'a> {
    /// As the caller says it: a name, uid or uid:gid. None: as the agent.
    pub user: Option<&'a str>,
    pub home: Option<&'a str>,
    /// None: as the agent.
    pub cwd: Option<&'a str>,
    pub env: &'a [(String, String)],
    /// In a process group of its own.
    pub group: bool,
}

/// The words that start `argv` so in a Linux guest.
pub fn linux(manner: &Manner<'_>, argv: &[String]) -> Result<Vec<String>, Failure> {
    let wrong = |message: String| Failure::new("arguments", message, "correct the argument and call again");
    let program = argv.first().map(String::as_str).unwrap_or_default();
    if program.contains('=') {
        return Err(wrong(format!(
            "{program:?} cannot be started in a VM: env would take it for a variable"
        )));
    }
    let mut words: Vec<String> = Vec::new();
    let mut add = |word: &str| words.push(word.to_owned());
    if manner.group {
        add("setsid");
    }
    if let Some(user) = manner.user {
        if !is_user(user) {
            return Err(wrong(format!("user {user:?} is no name, uid or uid:gid")));
        }
        // It takes the user's own groups, and opens no session as su and runuser would.
        ["chroot", &format!("--userspec={user}"), "--skip-chdir", "/"].into_iter().for_each(&mut add);
    }
    add("env");
    add("-i");
    if let Some(cwd) = manner.cwd {
        add("-C");
        add(cwd);
    }
    add(PATH);
    add(&format!("HOME={}", manner.home.unwrap_or(if manner.user.is_some() { "/" } else { "/root" })));
    for (name, value) in manner.env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(wrong(format!("env: {name:?} cannot be a variable's name")));
        }
        add(&format!("{name}={value}"));
    }
    argv.iter().map(String::as_str).for_each(add);
    Ok(words)
}

/// Whether it can stand for a user, or a user and a group.
pub fn is_user(user: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.len() <= 64
            && !name.starts_with(['-', '+'])
            && name.chars().all(|letter| letter.is_alphanumeric() || "_-.@$\\".contains(letter))
    };
    match user.split_once(':') {
        Some((user, group)) => is_name(user) && is_name(group),
        None => is_name(user),
    }
}

/// Whether a user is the agent's own.
pub fn is_root(user: &str) -> bool {
    matches!(user, "root" | "0" | "root:root" | "0:0")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn system(info: serde_json::Value) -> System {
        System::of(&serde_json::from_value(info).unwrap())
    }

    #[test]
    fn only_what_says_that_it_is_linux_is_taken_for_it() {
        for id in ["debian", "alpine", "rhel", "nixos"] {
            assert_eq!(system(json!({ "id": id, "kernel-release": "6.1" })), System::Linux, "{id}");
        }
        let windows =
            json!({ "id": "mswindows", "pretty-name": "Windows Server 2022", "kernel-release": "20348" });
        assert_eq!(system(windows), System::Other("Windows Server 2022".into()));
        assert!(!system(json!({ "id": "freebsd", "kernel-release": "14.1" })).is_linux());
        assert!(matches!(system(json!({})), System::Unknown(_)));
    }

    #[test]
    fn a_command_is_wrapped_without_a_shell() {
        let env = [("A".to_owned(), "b c".to_owned())];
        let manner = Manner {
            user: Some("www-data"),
            home: Some("/var/www"),
            cwd: Some("/tmp"),
            env: &env,
            group: true,
        };
        let words = linux(&manner, &["ls".into(), "; rm -rf /".into()]).unwrap();
        let expected = [
            "setsid",
            "chroot",
            "--userspec=www-data",
            "--skip-chdir",
            "/",
            "env",
            "-i",
            "-C",
            "/tmp",
            PATH,
            "HOME=/var/www",
            "A=b c",
            "ls",
            "; rm -rf /",
        ];
        assert_eq!(words, expected);
        assert!(linux(&Manner::default(), &["A=b".into()]).is_err());
        let bad = Manner { user: Some("--help"), ..Manner::default() };
        assert!(linux(&bad, &["ls".into()]).is_err());
    }

    #[test]
    fn a_user_is_a_name_or_numbers() {
        for (user, is) in [
            ("alice", true),
            ("1000:1000", true),
            ("DOM\\u", true),
            ("", false),
            ("a:b:c", false),
            ("a b", false),
        ] {
            assert_eq!(is_user(user), is, "{user}");
        }
    }
}
