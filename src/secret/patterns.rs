//! What looks like a secret wherever it stands, by its form.

use std::sync::{LazyLock, OnceLock};

use regex::bytes::{RegexSet, RegexSetBuilder};
use regex::{Captures, Regex};

use super::WITHHELD;

/// `(what, pattern)`. Groups `keep` and `then` stay, so that a reader sees what was there. ASCII classes: those of Unicode
/// are many times as large.
const LOOKS: &[(&str, &str)] = &[
    (
        "a private key",
        r"-{4,5} ?BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)? ?-{4,5}[\s\S]*?(-{4,5} ?END [A-Z0-9 ]*PRIVATE KEY( BLOCK)? ?-{4,5}|\z)",
    ),
    (
        "the end of a private key",
        r"(?m)(^[ \t>|+]*[A-Za-z0-9+/=]+[ \t\r]*\n)*[A-Za-z0-9+/=]*-{4,5} ?END [A-Z0-9 ]*PRIVATE KEY( BLOCK)? ?-{4,5}",
    ),
    (
        "a token of PVE, PBS, PMG or PDM",
        r"(?i)(?P<keep>\bP(VE|BS|MG|DM)APIToken[=: \t]+[^\s=:!]+![^\s=:]+)[=:][^\s,;'\x22]+",
    ),
    (
        "a token in the form of its file",
        r"(?P<keep>[A-Za-z0-9_.+-]+@[A-Za-z0-9_.-]+![A-Za-z0-9_.-]+[=: ]+)[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    ),
    ("a ticket", r"(?P<keep>\b(PVE|PBS|PMG|PDM)(VNC|AUTH|TFA)?:)[^\s:]*(:[^\s:]*)*::[A-Za-z0-9+/=]{40,}"),
    ("a ticket's cookie", r"(?P<keep>\b(__Host-)?(PVE|PBS|PMG|PDM)AuthCookie=)[^\s;,'\x22]+"),
    ("a password's hash", r"\$(1|2[abxy]|5|6|7|y|gy|argon2id?)\$[./A-Za-z0-9$=,+-]{8,}"),
    (
        "credentials in an address",
        r"(?P<keep>\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@'\x22]*:)[^\s/'\x22]+(?P<then>@)",
    ),
    (
        "an authorization header",
        r"(?i)(?P<keep>\bauthorization[\\'\x22]*[ \t]*[:=][ \t]*[\\'\x22]*(bearer|basic|digest|token|apikey|api-key|key|negotiate|ntlm|aws4-hmac-sha256)[ \t]+)[^\s'\x22][^\r\n'\x22\\]*",
    ),
    (
        "an authorization header without a scheme",
        r"(?i)(?P<keep>\bauthorization[\\'\x22]*[ \t]*[:=][ \t]*[\\'\x22]*)[A-Za-z0-9._~+/-]{8,}=*(?P<then>[\s,;'\x22\\]|\z)",
    ),
    ("a bearer", r"(?i)(?P<keep>\bbearer[ \t]+)[A-Za-z0-9._~+/-]{16,}=*"),
    ("a JSON web token", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    ("a key of Ceph's", r"\bAQ[A-Za-z0-9+/]{36}=="),
    (
        "a token that says whose it is",
        r"\b(gh[pousr]_|github_pat_|glpat-|xox[abposr]-|sk-(ant-|proj-)?|AKIA|hvs\.|dop_v1_|npm_|pypi-)[A-Za-z0-9_-]{16,}",
    ),
    (
        "a webhook's address",
        r"(?P<keep>\bhttps://(hooks\.slack\.com/services|discord(app)?\.com/api/webhooks|[a-z0-9-]+\.webhook\.office\.com)/)[^\s'\x22]+",
    ),
    ("a bot's address", r"(?P<keep>\bapi\.telegram\.org/(file/)?bot)[^\s/'\x22]+"),
    ("a subscription's key", r"(?P<keep>\b(pve[0-9]{1,3}|pbs|pmg|pdm)[a-z]-)[0-9a-f]{10}\b"),
    ("a key of Ceph's in an image's name", r"(?P<keep>\brbd:([^\s'\x22]*:)?key=)[^\s:,'\x22]+"),
    ("an object of QEMU's", r"(?P<keep>\bsecret,([^\s]*,)?data=)[^\s,]+"),
    (
        "a password that is piped",
        r"(?P<keep>\b(echo|printf)[ \t]+)[^|\n]+(?P<then>\|[ \t]*(sudo[ \t]+)?(chpasswd|passwd|smbpasswd|cryptsetup|kinit|su|sudo)\b)",
    ),
];

/// The text without what looks like a secret in it, and how many there were.
pub fn cut(text: &str) -> Option<(String, usize)> {
    let hits = PATTERNS.set.matches(text.as_bytes());
    if !hits.matched_any() {
        return None;
    }
    let (mut clean, mut found) = (text.to_owned(), 0);
    for index in hits.iter() {
        let replaced = PATTERNS.one(index).replace_all(&clean, |captures: &Captures| {
            let group = |name: &str| captures.name(name).map_or("", |group| group.as_str());
            found += 1;
            format!("{}{WITHHELD}{}", group("keep"), group("then"))
        });
        clean = replaced.into_owned();
    }
    Some((clean, found))
}

/// An address, of which only whom it leads to is shown.
pub fn cut_address(text: &str) -> Option<(String, usize)> {
    let host = text.find("://").filter(|scheme| {
        text[..*scheme].eq_ignore_ascii_case("http") || text[..*scheme].eq_ignore_ascii_case("https")
    })? + 3;
    let end = host + text[host..].find(['/', '?', '#'])?;
    let rest = &text[end + 1..];
    (!rest.is_empty() && rest != WITHHELD).then(|| (format!("{}{WITHHELD}", &text[..=end]), 1))
}

struct Patterns {
    /// Over bytes, which takes a fraction of the memory: every text that one of `each` finds something in is among what it finds.
    set: RegexSet,
    /// Made when a text first looks so: most never do, and each takes memory for good.
    each: Vec<(String, OnceLock<Regex>)>,
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| {
    // Unicode's word boundary and white space mean nothing more here, and cost a table each.
    let sources: Vec<String> = LOOKS.iter().map(|(_, source)| source.replace(r"\b", r"(?-u:\b)")).collect();
    // They are constants, and a test compiles them.
    let set = RegexSetBuilder::new(&sources).unicode(false).build();
    let set = set.unwrap_or_else(|error| panic!("{error}"));
    Patterns { set, each: sources.into_iter().map(|source| (source, OnceLock::new())).collect() }
});

impl Patterns {
    fn one(&self, index: usize) -> &Regex {
        let (source, made) = &self.each[index];
        made.get_or_init(|| Regex::new(source).unwrap_or_else(|error| panic!("{error}")))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_pattern_is_one() {
        for index in 0..super::LOOKS.len() {
            super::PATTERNS.one(index);
        }
    }
}
