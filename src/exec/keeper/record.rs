//! The one record of a command, or of an errand at the file door, made before it starts: who asked, where, for what. What
//! cannot be recorded is not done.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::gate::refusal;
use super::journal::{Entry, Journal, SOCKET};
use crate::config::ArgvRecord;
use crate::door::{Errand, Over};
use crate::exec::wire::{Guest, Refusal, Request};
use crate::journal::under_journald;
use crate::secret::withhold_argv;

/// Where commands are recorded.
pub enum Recorder {
    /// In the journal, which says whether it took the record.
    Journal(Journal),
    /// Where the journal should be and cannot be had.
    Broken(nix::errno::Errno),
    /// Beside this process's other messages, on standard error: whoever started it by hand reads them there.
    Messages,
}

impl Recorder {
    pub fn for_this_process() -> Self {
        if !under_journald() {
            return Self::Messages;
        }
        Journal::at(Path::new(SOCKET)).map_or_else(Self::Broken, Self::Journal)
    }

    /// Records a command that is about to start.
    pub fn record(&self, request: &Request, argv: ArgvRecord) -> Result<(), Refusal> {
        let fields = fields(request, argv);
        let taken = match self {
            Self::Journal(journal) => {
                let entry = Entry::new(&fields.message);
                journal.write(&fields.list.iter().fold(entry, |entry, (name, value)| entry.with(name, value)))
            }
            Self::Broken(errno) => Err(*errno),
            Self::Messages => {
                let list: Vec<String> =
                    fields.list.iter().map(|(name, value)| format!("{name}={value}")).collect();
                tracing::info!("{} {}", fields.message, list.join(" "));
                Ok(())
            }
        };
        taken.map_err(|errno| {
            tracing::error!(%errno, "the journal did not take a command's record");
            let message = format!(
                "the command cannot be recorded: journald did not take it ({SOCKET}: {errno}), and none runs unrecorded"
            );
            let next = "on the node: systemctl status systemd-journald; call again when it keeps up";
            refusal("journal", message, next.into())
        })
    }
}

struct Fields {
    message: String,
    list: Vec<(&'static str, String)>,
}

/// As [`fields`], of a file: never what is in it.
fn fields_of_file(request: &Request, errand: &Errand) -> Fields {
    let (guest, act) = (request.guest, errand.name());
    let path = format!("{:?}", errand.path());
    let mut list = vec![
        ("PROVOST_GUEST", guest.to_string()),
        ("PROVOST_DECISION", "allowed".into()),
        ("PROVOST_MODE", request.mode.name().into()),
        ("PROVOST_FILE", act.into()),
        ("PROVOST_PATH", path.clone()),
        ("PROVOST_TIMEOUT_MS", request.timeout_ms.to_string()),
        ("ASKED_BY", format!("{:?}", request.asked_by)),
    ];
    match errand {
        Errand::Get(get) => list.push(("PROVOST_MOST_BYTES", get.most.to_string())),
        Errand::Put(put) => {
            list.push(("PROVOST_BYTES", put.bytes.to_string()));
            list.push(("PROVOST_SHA256", put.sha256.clone()));
            list.extend(put.mode.map(|mode| ("PROVOST_FILE_MODE", format!("{mode:04o}"))));
            list.extend(put.owner.as_ref().map(|owner| ("PROVOST_FILE_OWNER", quoted(owner))));
            let over = match &put.over {
                Over::Never => "never",
                Over::IfHash(_) => "if_hash",
                Over::Always => "always",
            };
            list.push(("PROVOST_OVERWRITE", over.into()));
        }
        Errand::Remove(remove) => list.push(("PROVOST_SHA256", remove.sha256.clone())),
    }
    Fields { message: format!("file {act} {}: {path}", place(guest)), list }
}

/// Text of the caller's is quoted, so that it stays on its line and in its field.
fn fields(request: &Request, argv: ArgvRecord) -> Fields {
    if let Some(errand) = &request.file {
        return fields_of_file(request, errand);
    }
    let (name, command) = match argv {
        // The journal has readers that the caller has not.
        ArgvRecord::Full => ("PROVOST_ARGV", format!("{:?}", withhold_argv(&request.argv))),
        ArgvRecord::Hash => ("PROVOST_ARGV_SHA256", hash_of_argv(&request.argv)),
    };
    let env: Vec<&str> = request.env.iter().map(|(name, _)| name.as_str()).collect();
    let (guest, mode) = (request.guest, request.mode.name());
    let mut list = vec![
        ("PROVOST_GUEST", guest.to_string()),
        ("PROVOST_DECISION", "allowed".into()),
        ("PROVOST_MODE", mode.into()),
        (name, command.clone()),
        ("PROVOST_USER", quoted(request.user.as_deref().unwrap_or("root"))),
        ("PROVOST_CWD", format!("{:?}", request.cwd)),
        // Their values may be secrets.
        ("PROVOST_ENV", format!("{env:?}")),
        ("PROVOST_TIMEOUT_MS", request.timeout_ms.to_string()),
        ("ASKED_BY", format!("{:?}", request.asked_by)),
    ];
    if let Some(script) = &request.script {
        list.push(("PROVOST_SCRIPT_BYTES", script.bytes.to_string()));
        list.push(("PROVOST_SCRIPT_SHA256", script.sha256.clone()));
    }
    Fields { message: format!("{mode} {}: {command}", place(guest)), list }
}

fn place(guest: Guest) -> String {
    match guest {
        Guest::Vmid(vmid) => format!("in container {vmid}"),
        Guest::Host => "on the node itself".into(),
    }
}

/// As it is where that is plain.
fn quoted(text: &str) -> String {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
    if plain { text.into() } else { format!("{text:?}") }
}

/// SHA-256 over the arguments, each with a NUL byte behind it: `printf '%s\0' df -h | sha256sum`.
fn hash_of_argv(argv: &[String]) -> String {
    let mut hash = Sha256::new();
    for argument in argv {
        hash.update(argument);
        hash.update([0]);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::wire::Script;

    fn request() -> Request {
        Request {
            env: vec![("TOKEN".into(), "hidden".into())],
            cwd: "/var\nfake".into(),
            user: Some("www\tdata".into()),
            script: Some(Script::of("echo hidden too")),
            ..Request::for_tests()
        }
    }

    #[test]
    fn a_record_names_everything_but_the_values_of_variables() {
        let fields = fields(&request(), ArgvRecord::Full);
        let text = format!("{} {:?}", fields.message, fields.list);
        assert!(!text.contains("hidden"), "{text}");
        let field = |name: &str| fields.list.iter().find(|(known, _)| *known == name).unwrap().1.as_str();
        assert_eq!(field("PROVOST_ARGV"), "[\"df\", \"-h\"]");
        assert_eq!(field("PROVOST_ENV"), "[\"TOKEN\"]");
        assert_eq!(field("PROVOST_CWD"), "\"/var\\nfake\"");
        assert_eq!(field("PROVOST_USER"), "\"www\\tdata\"");
        assert_eq!(field("PROVOST_SCRIPT_BYTES"), "15");
        assert_eq!(field("PROVOST_SCRIPT_SHA256").len(), 64);
        assert_eq!(field("PROVOST_TIMEOUT_MS"), "1000");
    }

    #[test]
    fn a_record_says_that_it_was_the_node_itself() {
        let fields = fields(&Request { guest: Guest::Host, ..request() }, ArgvRecord::Full);
        assert_eq!(fields.message, "inspect on the node itself: [\"df\", \"-h\"]");
        assert!(fields.list.contains(&("PROVOST_GUEST", "host".into())));
    }

    #[test]
    fn a_record_names_no_secret_of_the_command_s() {
        let argv = ["mysql", "-phunter2", "--password", "hunter2", "PGPASSWORD=hunter2"].map(str::to_owned);
        let fields = fields(&Request { argv: argv.into(), ..request() }, ArgvRecord::Full);
        let text = format!("{} {:?}", fields.message, fields.list);
        assert!(text.contains("[withheld]") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_record_of_a_file_names_it_and_its_hash_and_stays_on_its_line() {
        let put = crate::door::Put {
            path: "/etc/a\nb".into(),
            bytes: 7,
            sha256: "0".repeat(64),
            mode: Some(0o640),
            owner: Some("www-data".into()),
            over: Over::Always,
            keep: 0,
        };
        let fields = fields(&Request::for_a_file(Errand::Put(put)), ArgvRecord::Hash);
        let field = |name: &str| fields.list.iter().find(|(known, _)| *known == name).unwrap().1.as_str();
        assert_eq!(fields.message, "file put in container 101: \"/etc/a\\nb\"");
        assert_eq!(field("PROVOST_PATH"), "\"/etc/a\\nb\"");
        assert_eq!((field("PROVOST_BYTES"), field("PROVOST_FILE_MODE")), ("7", "0640"));
        assert_eq!((field("PROVOST_OVERWRITE"), field("PROVOST_SHA256").len()), ("always", 64));
    }

    #[test]
    fn a_hashed_record_holds_no_argument_and_the_hash_that_anybody_can_make() {
        let fields = fields(&request(), ArgvRecord::Hash);
        let text = format!("{} {:?}", fields.message, fields.list);
        assert!(!text.contains("\"-h\""), "{text}");
        // printf '%s\0' df -h | sha256sum
        let expected = "5b3cc73ced342deb51009cbedb796cc62038c23673cd8b065d3beebaf2a0019c";
        assert!(fields.list.contains(&("PROVOST_ARGV_SHA256", expected.into())), "{text}");
    }

    #[test]
    fn a_command_that_the_journal_does_not_take_is_refused() {
        let nowhere = tempfile::tempdir().unwrap().path().join("socket");
        let recorder = Recorder::Journal(Journal::at(&nowhere).unwrap());
        assert_eq!(recorder.record(&request(), ArgvRecord::Full).unwrap_err().kind, "journal");
        assert!(Recorder::Messages.record(&request(), ArgvRecord::Full).is_ok());
    }
}
