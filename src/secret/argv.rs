//! A command without the secrets that stand on its line.
//!
//! Best effort: what an argument means only its program knows. The table knows the programs that are well known, and any
//! option whose name says that it is secret. Where no argument may be recorded, the configuration says `argv = "hash"`.

use super::names::is_secret;
use super::{WITHHELD, settings};

/// How a program takes a secret behind a short option.
#[derive(Clone, Copy, PartialEq)]
enum Takes {
    /// `-pX` and `-p X`.
    Both,
    /// `-pX` alone: behind a blank stands something else.
    Joined,
    /// `-k X` alone: `-kX` is another option.
    Next,
    /// `-u USER:X`, `-U USER%X`.
    Behind(char),
}
use Takes::{Behind, Both, Joined, Next};

const MYSQL: &[(&str, Takes)] = &[("-p", Joined)];
const LDAP: &[(&str, Takes)] = &[("-w", Both)];
const SMB: &[(&str, Takes)] = &[("-U", Behind('%')), ("--user", Behind('%'))];
const SNMP: &[(&str, Takes)] = &[("-c", Both), ("-A", Both), ("-X", Both)];
const SEVEN_ZIP: &[(&str, Takes)] = &[("-p", Joined)];
const MONGO: &[(&str, Takes)] = &[("-p", Both)];
const ZIP: &[(&str, Takes)] = &[("-P", Both)];

/// By the program's name, in order.
const PROGRAMS: &[(&str, &[(&str, Takes)])] = &[
    ("7z", SEVEN_ZIP),
    ("7za", SEVEN_ZIP),
    ("7zr", SEVEN_ZIP),
    (
        "curl",
        &[("--proxy-user", Behind(':')), ("--user", Behind(':')), ("-U", Behind(':')), ("-u", Behind(':'))],
    ),
    ("htpasswd", &[("-b", Both)]),
    ("ipmitool", &[("-P", Both)]),
    ("ldapadd", LDAP),
    ("ldapdelete", LDAP),
    ("ldapmodify", LDAP),
    ("ldappasswd", &[("-a", Both), ("-s", Both), ("-w", Both)]),
    ("ldapsearch", LDAP),
    ("ldapwhoami", LDAP),
    ("mariadb", MYSQL),
    ("mariadb-admin", MYSQL),
    ("mariadb-dump", MYSQL),
    ("mongo", MONGO),
    ("mongodump", MONGO),
    ("mongosh", MONGO),
    ("mysql", MYSQL),
    ("mysqladmin", MYSQL),
    ("mysqlcheck", MYSQL),
    ("mysqldump", MYSQL),
    ("mysqlimport", MYSQL),
    ("net", SMB),
    ("openssl", &[("-K", Next), ("-k", Next), ("-pass", Next), ("-passin", Next), ("-passout", Next)]),
    ("redis-cli", &[("-a", Both)]),
    ("rpcclient", SMB),
    ("smbclient", SMB),
    ("snmpbulkwalk", SNMP),
    ("snmpget", SNMP),
    ("snmpset", SNMP),
    ("snmpwalk", SNMP),
    ("sqlcmd", &[("-P", Both)]),
    ("sshpass", &[("-p", Both)]),
    ("unzip", ZIP),
    ("useradd", &[("-p", Both)]),
    ("usermod", &[("-p", Both)]),
    ("zip", ZIP),
];

/// The arguments, each without the secrets that it holds by its own name, by the option before it, or by its program's
/// table.
pub fn withhold<T: AsRef<str>>(argv: &[T]) -> Vec<String> {
    let mut state = State::default();
    argv.iter()
        .map(|argument| {
            let argument = argument.as_ref();
            match state.next(argument) {
                Some(clean) => clean,
                // A script, or a sentence.
                None if argument.contains(char::is_whitespace) => in_script(argument),
                None => {
                    let places = settings::find("", argument);
                    settings::without(argument, &places)
                }
            }
        })
        .collect()
}

/// A text, a log's line as a rule, without what stands behind the options of a program that the table knows, and how many
/// there were; nothing if there is none. Lines without such a program stay as they are.
#[cfg(feature = "ledger")]
pub(super) fn in_text(text: &str) -> Option<(String, usize)> {
    let (mut clean, mut found) = (String::new(), 0);
    let mut done = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some(begin) = program(line) {
            let script = in_script(&line[begin..]);
            let more =
                script.matches(WITHHELD).count().saturating_sub(line[begin..].matches(WITHHELD).count());
            if more > 0 {
                clean.push_str(&text[done..at + begin]);
                clean.push_str(&script);
                (done, found) = (at + line.len(), found + more);
            }
        }
        at += line.len();
    }
    (found > 0).then(|| {
        clean.push_str(&text[done..]);
        (clean, found)
    })
}

/// Where the first program of the table stands on the line, if options follow.
#[cfg(feature = "ledger")]
fn program(line: &str) -> Option<usize> {
    // Most lines have none.
    let last = memchr::memmem::rfind(line.as_bytes(), b" -")?;
    let mut from = 0;
    while from < last {
        let word = &line[from..from + word(&line[from..last])];
        let name = word.rsplit('/').next().unwrap_or_default();
        if PROGRAMS.binary_search_by_key(&name, |(program, _)| program).is_ok() {
            return Some(from);
        }
        from += word.len() + line[from + word.len()..].chars().next().map_or(1, char::len_utf8);
    }
    None
}

/// A script's text, word by word; a word in quotes is taken without them.
fn in_script(script: &str) -> String {
    let places = settings::find("", script);
    let script = settings::without(script, &places);
    let (mut clean, mut state) = (String::with_capacity(script.len()), State::default());
    let mut rest = script.as_str();
    while !rest.is_empty() {
        // What is awaited may be quoted as a whole.
        if let Some(quote) = rest.chars().next().filter(|letter| state.awaits.is_some() && is_quote(*letter))
        {
            let inner = rest[1..].split(quote).next().unwrap_or_default();
            clean.push(quote);
            clean.push_str(state.next(inner).as_deref().unwrap_or(inner));
            rest = &rest[1 + inner.len()..];
            let closes = rest.len().min(1);
            clean.push_str(&rest[..closes]);
            rest = &rest[closes..];
            continue;
        }
        let word = &rest[..word(rest)];
        match (!word.is_empty()).then(|| state.next(word)).flatten() {
            Some(word) => clean.push_str(&word),
            None => clean.push_str(word),
        }
        rest = &rest[word.len()..];
        let sign = rest.chars().next().map_or(0, char::len_utf8);
        clean.push_str(&rest[..sign]);
        rest = &rest[sign..];
    }
    clean
}

fn is_quote(letter: char) -> bool {
    matches!(letter, '"' | '\'')
}

/// The length of the word that begins here. What is quoted within it belongs to it: `-p'a b'`.
fn word(text: &str) -> usize {
    let is_between = |letter: char| {
        letter.is_whitespace() || is_quote(letter) || matches!(letter, ';' | '|' | '&' | '(' | ')' | '`')
    };
    let mut end = 0;
    loop {
        end += text[end..].find(is_between).unwrap_or(text.len() - end);
        let mut after = text[end..].chars();
        match after.next().filter(|letter| end > 0 && is_quote(*letter)) {
            // A quote that opens within a word; one that ends it has none of the word behind it.
            Some(quote) if after.next().is_some_and(|letter| !is_between(letter)) => {
                end += 1 + text[end + 1..].find(quote).map_or(text.len() - end - 1, |at| at + 1);
            }
            _ => return end,
        }
    }
}

/// What the arguments so far say of the next.
#[derive(Default)]
struct State {
    options: &'static [(&'static str, Takes)],
    /// What the next one is.
    awaits: Option<Takes>,
}

impl State {
    /// The argument as it is shown, where the arguments before it or its own beginning make a part of it secret.
    fn next(&mut self, argument: &str) -> Option<String> {
        if let Some(takes) = self.awaits.take() {
            return match takes {
                Behind(sign) => argument.split_once(sign).map(|(user, _)| format!("{user}{sign}{WITHHELD}")),
                Both | Joined | Next => Some(WITHHELD.into()),
            };
        }
        let program = argument.rsplit('/').next().unwrap_or_default();
        if let Ok(at) = PROGRAMS.binary_search_by_key(&program, |(name, _)| name) {
            self.options = PROGRAMS[at].1;
            return None;
        }
        if let Some((name, value)) = argument.split_once('=')
            && is_secret_option(name)
            && !value.is_empty()
        {
            return Some(format!("{name}={WITHHELD}"));
        }
        let fits = |(option, takes): &&(&str, Takes)| {
            let rest = argument.strip_prefix(option);
            // Of one letter, its value may follow at once.
            rest.is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('=') || (option.len() == 2 && *takes != Next)
            })
        };
        let known = self.options.iter().find(fits);
        if is_secret_option(argument) && argument.starts_with('-') {
            self.awaits = Some(Both);
            // `-pMySecret`: which of both holds it cannot be told.
            let joined = known
                .filter(|(option, takes)| option.len() < argument.len() && matches!(takes, Both | Joined));
            return joined.map(|(option, _)| format!("{option}{WITHHELD}"));
        }
        let (option, takes) = *known?;
        let joined = &argument[option.len()..];
        match (joined.strip_prefix('=').unwrap_or(joined), takes) {
            ("", Joined) => None,
            ("", takes) => {
                self.awaits = Some(takes);
                None
            }
            (value, Behind(sign)) => {
                let (user, _) = value.split_once(sign)?;
                Some(format!("{}{user}{sign}{WITHHELD}", &argument[..argument.len() - value.len()]))
            }
            (_, Both | Joined | Next) => Some(format!("{option}{WITHHELD}")),
        }
    }
}

/// `--password`, `-password`, or the `PGPASSWORD` of `PGPASSWORD=…`.
fn is_secret_option(argument: &str) -> bool {
    let name = argument.trim_start_matches('-');
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    name.len() > 2 && plain && is_secret("", name)
}
