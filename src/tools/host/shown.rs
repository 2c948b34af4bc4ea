//! What a person is shown of it before the answer: every word that counts, and none that does not show.
//!
//! And what of it is recorded: no input, no content, no secret that is known for one.

use jiff::Timestamp;
use rmcp::model::{ElicitRequestParams, JsonObject};
use serde_json::{Value, json};

use super::{Asked, What};
use crate::config::ArgvRecord;
use crate::door::{Errand, Over, Part};
use crate::exec::wire::Script;
use crate::ledger::receipt::{Argv, Clean};
use crate::secret::withhold_argv;
use crate::text::{beginning, clean};
use crate::tools::apply::question;

/// Bytes of input or content that are shown; of more, the beginning.
const MOST_SHOWN: usize = 24 << 10;
/// Bytes that a dialog takes. What is longer is read in a terminal.
const MOST_ASKED: usize = 8 << 10;

/// As it is; where something in it would not show, every such character by its number.
fn plainly(text: &str) -> String {
    let shows = clean(text.as_bytes()) == text && !text.contains(['\n', '\t']);
    if shows { text.to_owned() } else { text.escape_debug().collect() }
}

fn bytes(content: &[u8]) -> Value {
    let sha256 = crate::ledger::tree::sha256_hex(content);
    match std::str::from_utf8(content) {
        Ok(text) => {
            let part = beginning(text, MOST_SHOWN);
            let lines: Vec<String> = part.split('\n').map(plainly).collect();
            json!({ "bytes": content.len(), "sha256": sha256, "text": lines, "not_shown_bytes": content.len() - part.len() })
        }
        Err(_) => json!({ "bytes": content.len(), "sha256": sha256, "not_shown": "it is no text" }),
    }
}

/// All of it.
pub fn whole(tool: &str, what: &What, who: &str, tainted: bool, expires: Timestamp) -> JsonObject {
    let mut shown = json!({
        "where": "ON THE NODE ITSELF, as root unless a user is named",
        "tool": tool,
        "asked_by": who,
        "session_has_read_what_a_guest_wrote": tainted,
        "expires": expires.to_string(),
    });
    let mut put = |name: &str, value: Value| shown[name] = value;
    match what {
        What::Exec { wanted, stdin } => {
            put("argv", json!(wanted.argv.iter().map(|argument| plainly(argument)).collect::<Vec<_>>()));
            put("cwd", json!(plainly(&wanted.cwd)));
            put("user", json!(wanted.user.as_deref().map_or("root".into(), plainly)));
            put("timeout_s", json!(wanted.timeout_ms / 1000));
            put("stdin", stdin.as_ref().map_or(Value::Null, |text| bytes(text.as_bytes())));
        }
        What::Get(wish) => {
            put("path", json!(plainly(wish.errand.path())));
            if let Errand::Get(get) = &wish.errand {
                let part = match get.part {
                    Part::From(from) => json!({ "from": from, "at_most": get.most }),
                    Part::Last(last) => json!({ "last": last, "at_most": get.most }),
                };
                put("bytes_or_entries", part);
            }
        }
        What::Put(wish) => {
            put("path", json!(plainly(wish.errand.path())));
            put("act", json!(wish.errand.name()));
            if let Errand::Put(errand) = &wish.errand {
                put("mode", json!(errand.mode.map(|mode| format!("{mode:04o}"))));
                put("owner", json!(errand.owner.as_deref().map(plainly)));
                put("overwrite", over(&errand.over));
                put("content", bytes(&wish.content));
            }
            put("takes_back_receipt", json!(wish.from));
        }
    }
    let Value::Object(shown) = shown else { return JsonObject::new() };
    shown
}

fn over(over: &Over) -> Value {
    match over {
        Over::Never => json!("never"),
        Over::Always => json!("always"),
        Over::IfHash(hash) => json!({ "if_sha256": hash }),
    }
}

/// In a line, for lists and for the journal: without what is known for a secret.
pub fn summary(what: &What) -> Vec<String> {
    let line = match what {
        What::Exec { wanted, .. } => {
            let argv = withhold_argv(&wanted.argv);
            let argv: Vec<String> = argv.iter().map(|argument| plainly(argument)).collect();
            format!("on the node itself: run {argv:?}")
        }
        What::Get(wish) => format!("on the node itself: read {:?}", plainly(wish.errand.path())),
        What::Put(wish) => {
            format!("on the node itself: {} {:?}", wish.errand.name(), plainly(wish.errand.path()))
        }
    };
    vec![line]
}

/// What a dialog asks. None where it would have to leave something out.
pub fn question(asked: &Asked) -> Option<ElicitRequestParams> {
    let text = serde_json::to_string_pretty(&asked.shown).ok()?;
    // What is cut is longer than a dialog takes anyway.
    let hidden = ["stdin", "content"]
        .iter()
        .any(|name| asked.shown.get(*name).is_some_and(|content| !content["not_shown"].is_null()));
    let lines = [
        format!(
            "Provost asks whether this may be done ON THE NODE ITSELF, for {}:",
            clean(asked.who.as_bytes())
        ),
        text,
        format!("Plan {}, until {}", asked.id, asked.expires_at.strftime("%Y-%m-%d %H:%M:%S UTC")),
    ];
    let message = lines.join("\n");
    (!hidden && message.len() <= MOST_ASKED).then(|| question::form(message)).flatten()
}

impl What {
    /// For the receipt.
    pub(super) fn recorded(&self, argv: ArgvRecord) -> Value {
        match self {
            Self::Exec { wanted, stdin } => json!({
                "argv": Argv::of(&wanted.argv, argv),
                "cwd": Clean::of(&wanted.cwd),
                "user": wanted.user.as_deref().map(Clean::of),
                "timeout_ms": wanted.timeout_ms,
                "stdin": stdin.as_deref().map(Script::of),
            }),
            Self::Get(wish) => json!({ "path": Clean::of(wish.errand.path()) }),
            Self::Put(wish) => json!({
                "path": Clean::of(wish.errand.path()),
                "act": wish.errand.name(),
                "bytes": wish.content.len(),
                "sha256": crate::ledger::tree::sha256_hex(&wish.content),
                "from": wish.from,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_show_is_shown_by_its_number() {
        assert_eq!(plainly("/usr/bin/qm"), "/usr/bin/qm");
        assert_eq!(plainly("größe"), "größe");
        for hidden in ["a\u{202e}b", "a\u{200b}b", "a\u{1b}[2Kb", "a\nb"] {
            let shown = plainly(hidden);
            assert!(shown.contains('\\') && clean(shown.as_bytes()) == shown, "{shown}");
        }
    }

    #[test]
    fn content_is_shown_by_lines_and_what_is_left_out_is_counted() {
        let shown = bytes("one\ntwo".as_bytes());
        assert_eq!((&shown["text"], &shown["not_shown_bytes"]), (&json!(["one", "two"]), &json!(0)));
        let long = bytes("x".repeat(MOST_SHOWN + 7).as_bytes());
        assert_eq!(long["not_shown_bytes"], 7);
        assert_eq!(bytes(&[0xff])["not_shown"], "it is no text");
    }
}
