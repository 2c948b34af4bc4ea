//! What is at a path in a Linux guest, by its own stat and sha256sum.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::door::Found;
use crate::tools::answer::Failure;
use crate::tools::vm::agent::Ended;

/// How long one script may take: it may have to read all of a file.
pub const PATIENCE: Duration = Duration::from_secs(110);

/// Where a path leads and what is there, a line each. `$1` is the path; `$2` says whether the content's hash is wanted.
pub const LOOK: &str = r#"LC_ALL=C; export LC_ALL
p=$(readlink -f -- "$1" && printf x) || { echo nowhere; exit 0; }
p=${p%?x}
d=${p%/*}; d=${d:-/}
printf 'path %s\n' "$(printf %s "$p" | base64 | tr -d '\n')"
printf 'directory %s\n' "$(stat -c '%d %i' -- "$d")"
[ -e "$p" ] || { echo absent; exit 0; }
printf 'stat %s\n' "$(stat -c '%f %s %u %g %Y %h' -- "$p")"
printf 'is %s\n' "$(stat -c '%d %i %s %Y %Z' -- "$p")"
printf 'user %s\n' "$(stat -c %U -- "$p")"
printf 'group %s\n' "$(stat -c %G -- "$p")"
if [ -f "$p" ] && [ "$2" = hash ]; then printf 'sha256 %s\n' "$(sha256sum < "$p" | cut -c1-64)"; fi
echo end"#;

/// A directory's entries. `$1` is the path, `$2` how many are left out, or `last`, `$3` how many are wanted.
pub const LISTED: &str = r#"LC_ALL=C; export LC_ALL
cd -P -- "$1" || exit 71
skip=$2; n=$3; total=0; at=0
is() { case $1 in .|..) return 1;; esac; [ -e "$1" ] || [ -L "$1" ]; }
for f in .* *; do if is "$f"; then total=$((total+1)); fi; done
if [ "$skip" = last ]; then skip=$((total-n)); [ "$skip" -ge 0 ] || skip=0; fi
set --
for f in .* *; do
  is "$f" || continue
  at=$((at+1))
  if [ "$at" -gt "$skip" ] && [ "$at" -le $((skip+n)) ]; then set -- "$@" "$f"; fi
done
printf 'total %s %s\n' "$total" "$skip"
[ $# -gt 0 ] || exit 0
stat -c '%f %s %u %g %Y %h %U %G' -- "$@"
echo
printf '%s\0' "$@"
for f do if [ -L "$f" ]; then printf '%s\0%s\0' "$f" "$(readlink -- "$f")"; fi; done"#;

/// What a path leads to.
#[derive(Debug, Clone)]
pub struct Looked {
    /// Without links.
    pub path: String,
    /// Device and inode of the directory that holds it.
    pub directory: String,
    pub found: Option<Found>,
    /// What tells one content of it from another.
    pub is: String,
    pub sha256: Option<String>,
    pub is_file: bool,
}

/// Reads the script's account.
pub fn look(path: &str, ended: &Ended) -> Result<Looked, Failure> {
    let text = String::from_utf8_lossy(&ended.stdout);
    let line =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::trim);
    if text.starts_with("nowhere") {
        return Err(Failure::new(
            "not_found",
            format!(
                "cannot find {path:?} in the VM: a directory on the way to it is not there, or its links run in a circle"
            ),
            "see what is there: file_get of the directory above",
        ));
    }
    let unclear = || {
        let said = crate::text::clean(&ended.stderr);
        let message =
            format!("what the VM's own programs say of {path:?} is not understood: {}", said.trim());
        Failure::new(
            "guest_broken",
            message,
            "it takes readlink, stat, sha256sum and base64 in the guest: see them by exec",
        )
    };
    let resolved = line("path").and_then(|path| BASE64.decode(path).ok()).ok_or_else(unclear)?;
    let resolved = String::from_utf8(resolved).map_err(|_| {
        let message = format!("{path:?} leads to a name that is no UTF-8, which an agent cannot be told");
        Failure::new("not_found", message, "reach it by exec")
    })?;
    let directory = line("directory").filter(|pair| is_numbers(pair, 2)).ok_or_else(unclear)?.to_owned();
    let none =
        Looked { path: resolved, directory, found: None, is: String::new(), sha256: None, is_file: false };
    if text.lines().any(|line| line == "absent") {
        return Ok(none);
    }
    let stat = line("stat").ok_or_else(unclear)?;
    let (found, kind) = found(stat, line("user"), line("group")).ok_or_else(unclear)?;
    let is_file = kind == 'f';
    if !is_file && !found.is_directory {
        let message = format!("{path:?} in the VM is no file and no directory: find -type calls it {kind}");
        return Err(Failure::new("not_a_file", message, "name a plain file"));
    }
    let sha256 = line("sha256").filter(|hash| hash.len() == 64).map(str::to_owned);
    let is = line("is").ok_or_else(unclear)?.to_owned();
    Ok(Looked { found: Some(found), is, sha256, is_file, ..none })
}

fn is_numbers(text: &str, count: usize) -> bool {
    text.split(' ').count() == count && text.split(' ').all(|number| number.parse::<u64>().is_ok())
}

/// Of `mode size uid gid mtime links`, the mode in hexadecimal; and its kind.
pub fn found(stat: &str, user: Option<&str>, group: Option<&str>) -> Option<(Found, char)> {
    let parts: Vec<&str> = stat.split(' ').collect();
    let [mode, size, uid, gid, mtime, links] = parts[..] else { return None };
    let mode = u32::from_str_radix(mode, 16).ok()?;
    let kind = kind(mode);
    let name =
        |name: Option<&str>| name.filter(|name| !name.is_empty() && *name != "UNKNOWN").map(str::to_owned);
    let found = Found {
        is_directory: kind == 'd',
        size: size.parse().ok()?,
        uncounted: false,
        mode: mode & 0o7777,
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        user: name(user),
        group: name(group),
        mtime: mtime.parse().ok()?,
        links: links.parse().ok()?,
        from: 0,
        follows: 0,
    };
    Some((found, kind))
}

/// As `find -type` says it.
pub fn kind(mode: u32) -> char {
    match mode & 0o170_000 {
        0o100_000 => 'f',
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o010_000 => 'p',
        0o140_000 => 's',
        0o020_000 => 'c',
        0o060_000 => 'b',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(stdout: &str) -> Ended {
        Ended { exit_code: Some(0), stdout: stdout.as_bytes().to_vec(), ..Ended::default() }
    }

    #[test]
    fn an_account_is_read_and_what_is_none_is_not_believed() {
        let hash = "a".repeat(64);
        let text = format!(
            "path L2V0Yy9tb3Rk\ndirectory 1 2\nstat 81a4 5 0 33 7 1\nis 1 3 5 7 8\nuser root\ngroup UNKNOWN\nsha256 {hash}\nend\n"
        );
        let looked = look("/etc/motd", &said(&text)).unwrap();
        let found = looked.found.unwrap();
        assert_eq!((looked.path.as_str(), found.mode, found.size, found.gid), ("/etc/motd", 0o644, 5, 33));
        assert_eq!((found.user.as_deref(), found.group, looked.sha256), (Some("root"), None, Some(hash)));
        let absent = look("/x", &said("path L3g=\ndirectory 1 2\nabsent\n")).unwrap();
        assert!(absent.found.is_none());
        for (text, kind) in [
            ("nowhere\n", "not_found"),
            ("", "guest_broken"),
            ("path ???\n", "guest_broken"),
            ("path L3g=\ndirectory 1\nabsent\n", "guest_broken"),
            ("path L3g=\ndirectory 1 2\nstat 11a4 0 0 0 0 1\nis 1\n", "not_a_file"),
            ("path L3g=\ndirectory 1 2\nstat 81a4 x 0 0 0 1\nis 1\n", "guest_broken"),
        ] {
            assert_eq!(look("/x", &said(text)).unwrap_err().kind, kind, "{text}");
        }
    }
}
