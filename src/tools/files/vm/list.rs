//! A directory's entries in a Linux guest, by its own shell and stat.

use super::look::{LISTED, Looked, PATIENCE, found, kind};
use super::{Got, Wanted};
use crate::door::{Listed, Part};
use crate::policy::Permit;
use crate::tools::answer::Failure;
use crate::tools::exec::vm::fixed;
use crate::tools::record::Call;
use crate::tools::vm::agent::Agent;

pub async fn list(
    agent: &Agent,
    permit: &Permit,
    wanted: &Wanted<'_>,
    looked: Looked,
    record: &mut Call,
) -> Result<Got, Failure> {
    let (skip, count) = match wanted.part {
        Part::From(from) => (from.min(u64::from(u32::MAX)).to_string(), wanted.entries),
        Part::Last(last) => ("last".to_owned(), last.min(wanted.entries)),
    };
    let arguments = [&*looked.path, &skip, &count.to_string()];
    let ended = fixed(agent, permit, LISTED, &arguments, PATIENCE, record).await?;
    let (total, from, listed) = entries(&ended.stdout).ok_or_else(|| {
        let said = crate::text::clean(&ended.stderr);
        let message =
            format!("the entries of {:?} in the VM could not be listed: {}", wanted.path, said.trim());
        Failure::new("changed", message, "call again: some may have gone meanwhile")
    })?;
    Ok(Got {
        found: looked.found,
        is_directory: true,
        size: Some(total),
        from,
        bytes: Vec::new(),
        listed,
        untold: None,
    })
}

/// How many there are, at which the shown begin, and these.
fn entries(stdout: &[u8]) -> Option<(u64, u64, Vec<Listed>)> {
    let line_end = stdout.iter().position(|byte| *byte == b'\n')?;
    let head = std::str::from_utf8(&stdout[..line_end]).ok()?.strip_prefix("total ")?;
    let (total, skipped) = head.split_once(' ')?;
    let (total, skipped): (u64, u64) = (total.parse().ok()?, skipped.parse().ok()?);
    let rest = &stdout[line_end + 1..];
    if rest.is_empty() {
        return Some((total, skipped.min(total), Vec::new()));
    }
    let blank = rest.windows(2).position(|pair| pair == b"\n\n")?;
    let (stats, names) = (std::str::from_utf8(&rest[..blank]).ok()?, &rest[blank + 2..]);
    let stats: Vec<&str> = stats.lines().collect();
    let names: Vec<&[u8]> = names.strip_suffix(b"\0")?.split(|byte| *byte == 0).collect();
    if names.len() < stats.len() {
        return None;
    }
    let (names, links) = names.split_at(stats.len());
    let to = |name: &[u8]| links.chunks(2).find(|pair| pair[0] == name).and_then(|pair| pair.get(1));
    let listed = names.iter().zip(&stats).map(|(name, stat)| {
        let words: Vec<&str> = stat.splitn(7, ' ').collect();
        let (numbers, who) = words.split_at_checked(6)?;
        let (user, group) = who.first().and_then(|who| who.split_once(' ')).unzip();
        let (seen, _) = found(&numbers.join(" "), user, group)?;
        let raw = u32::from_str_radix(numbers[0], 16).ok()?;
        Some(Listed {
            name: name.to_vec(),
            kind: kind(raw),
            size: seen.size,
            mode: seen.mode,
            uid: seen.uid,
            gid: seen.gid,
            user: seen.user,
            group: seen.group,
            mtime: seen.mtime,
            to: to(name).map(|to| to.to_vec()),
        })
    });
    Some((total, skipped.min(total), listed.collect::<Option<Vec<_>>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_whatever_their_names_are() {
        let text = b"total 9 2\n81a4 5 0 33 7 1 root www-data\na1ff 3 0 0 7 1 root root\n\na\nb\0l\0l\0/x\0";
        let (total, from, listed) = entries(text).unwrap();
        assert_eq!((total, from, listed.len()), (9, 2, 2));
        assert_eq!((listed[0].name.as_slice(), listed[0].kind, listed[0].gid), (&b"a\nb"[..], 'f', 33));
        assert_eq!((listed[1].kind, listed[1].to.as_deref()), ('l', Some(&b"/x"[..])));
        assert_eq!(entries(b"total 0 0\n").unwrap().2.len(), 0);
        for wrong in [
            &b""[..],
            b"total x y\n",
            b"total 2 0\n81a4 5 0 33 7 1 r w\nx\n\na\0b\0",
            b"total 1 0\n81a4\n\na\0",
        ] {
            assert!(entries(wrong).is_none(), "{}", String::from_utf8_lossy(wrong));
        }
    }
}
