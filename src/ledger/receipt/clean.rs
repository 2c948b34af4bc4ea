//! The only ways for text from elsewhere into a receipt: each takes secrets out.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::config::ArgvRecord;
use crate::ledger::canonical::canonical;
use crate::ledger::tree::sha256_hex;
use crate::secret;
use crate::text::beginning;

/// Bytes of one text, and of all of a command, that a receipt holds at most. What is longer is cut, and its size and
/// hash said.
const MOST_TEXT: usize = 4 << 10;
const MOST_ARGV: usize = 64 << 10;

/// Text without secrets, of bounded length. It may hold control characters, which JSON escapes: whoever shows it takes
/// them out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Clean(String);

impl Clean {
    pub fn of(text: &str) -> Self {
        Self::bounded(text, MOST_TEXT)
    }

    /// What the kernel, this program or the catalogue wrote, and nobody else: there is nothing to look for.
    pub fn ours(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn bounded(text: &str, most: usize) -> Self {
        if is_plain(text) {
            return Self(text.to_owned());
        }
        // A secret that the cut would break in two is looked for first.
        let clean = secret::cut(text).map_or_else(|| text.to_owned(), |(clean, _)| clean);
        if clean.len() <= most {
            return Self(clean);
        }
        let (kept, hash) = (beginning(&clean, most), sha256_hex(text.as_bytes()));
        Self(format!("{kept}… [{} bytes, sha256 {hash}]", text.len()))
    }
}

/// A single short word of the kind that names, paths and flags are, in which no secret is known by its look: nothing that
/// sets one thing to another, and no long run of letters and digits. Most texts are such, and cost no search.
fn is_plain(text: &str) -> bool {
    const LONGEST: usize = 128;
    const LONGEST_RUN: usize = 15;
    let run = |part: &[u8]| part.len() <= LONGEST_RUN && part.iter().all(u8::is_ascii_alphanumeric);
    text.len() <= LONGEST
        && text.as_bytes().split(|byte| b"/._{}-".contains(byte)).all(run)
        // A UUID may be a token, and a row of dashes begin a key.
        && text.bytes().filter(|byte| *byte == b'-').count() < 4
}

impl From<&str> for Clean {
    fn from(text: &str) -> Self {
        Self::of(text)
    }
}

impl From<String> for Clean {
    fn from(text: String) -> Self {
        Self::of(&text)
    }
}

/// Any JSON without secrets, in canonical form.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// What is put together of texts that are [`Clean`] already, and of numbers.
    pub fn of_clean(clean: Value) -> Self {
        Self(canonical(clean))
    }

    /// `endpoint` is the path template that the value goes to or comes from: some names are secret only there.
    pub fn of(endpoint: &str, mut value: Value) -> Self {
        const MOST: usize = 256 << 10;
        secret::withhold(endpoint, &mut value);
        let text = canonical(value);
        if text.get().len() <= MOST {
            return Self(text);
        }
        let bytes = text.get().as_bytes();
        Self(canonical(serde_json::json!({ "bytes": bytes.len(), "sha256": sha256_hex(bytes) })))
    }
}

/// A command: in full but for the secrets that are known for such, which is best effort, or as a hash where the
/// configuration says `argv = "hash"`.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Argv {
    Full(Vec<Clean>),
    Hash {
        /// How many arguments.
        count: usize,
        /// Of the arguments as they were, each ended by a NUL, as /proc/PID/cmdline has them: `printf '%s\0' df -h |
        /// sha256sum`. `provost-execd` writes the same into the journal.
        sha256: String,
    },
}

impl Argv {
    pub fn of<T: AsRef<str>>(argv: &[T], how: ArgvRecord) -> Self {
        let size = argv.iter().map(|argument| argument.as_ref().len() + 1).sum::<usize>();
        if how == ArgvRecord::Hash || size > MOST_ARGV {
            let bytes: Vec<u8> =
                argv.iter().flat_map(|argument| [argument.as_ref().as_bytes(), b"\0"].concat()).collect();
            return Argv::Hash { count: argv.len(), sha256: sha256_hex(&bytes) };
        }
        // By what the arguments are to each other, then each by what it looks like.
        let clean = secret::withhold_argv(argv);
        Argv::Full(clean.iter().map(|argument| Clean::bounded(argument, MOST_ARGV)).collect())
    }
}
