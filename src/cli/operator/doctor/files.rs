//! What lies on the disk: tokens, certificate, the configuration's directory, the ledger's place, the node's API.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

use super::{Check, Ground, State};
use crate::config::{self, Config};
use crate::product::Product;

/// Days before a token's end at which it is said.
const SOON: i64 = 14;
/// Of the file system that the ledger is on.
const LITTLE: u64 = 1 << 30;
const NONE: u64 = 64 << 20;

pub fn checks(ground: &Ground) -> Vec<Check> {
    let Some(config) = &ground.config else { return Vec::new() };
    let mut checks = vec![place(&config::path(ground.at.config.clone()))];
    let own = config.roles.iter().filter_map(|role| role.token.as_deref());
    checks.extend(std::iter::once(config.pve.token.as_path()).chain(own).map(token));
    checks.extend(expiry(ground, config));
    checks.push(match config.pve.product() {
        Product::Pve => certificate(&config.pve.certificate),
        product => super::product::certificate(product, &config.pve.certificate),
    });
    checks.push(room(&config.ledger.dir));
    checks.push(clock(&config.ledger.dir));
    checks.push(catalogue(config.pve.product().facts().docs, &config.pve.apidoc));
    checks
}

/// Where the configuration is: who may put another file there decides what Provost may do.
fn place(path: &Path) -> Check {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match std::fs::metadata(dir) {
        Ok(meta) if meta.mode() & 0o022 != 0 && meta.mode() & 0o1000 == 0 => Check::not(
            "directory",
            State::Bad,
            format!("others than its owner may write {} (mode {:o})", dir.display(), meta.mode() & 0o7777),
            format!("chmod go-w {}", dir.display()),
        ),
        Ok(meta) if meta.uid() != 0 && dir.starts_with("/etc") => Check::not(
            "directory",
            State::Bad,
            format!("{} is not root's (uid {})", dir.display(), meta.uid()),
            format!("chown root {}", dir.display()),
        ),
        Ok(_) => Check::good("directory", format!("{} is its owner's alone to write", dir.display())),
        Err(error) => Check::skipped("directory", format!("{}: {error}", dir.display())),
    }
}

fn token(given: &Path) -> Check {
    match crate::config::is_credential(given) {
        true => super::credential::check(given, &super::credential::Places::default()),
        false => file(given),
    }
}

/// A token that lies open, as a file or as a credential.
pub fn file(given: &Path) -> Check {
    const NAME: &str = "token";
    let shown = given.display();
    let meta = match std::fs::metadata(given) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Check::not(NAME, State::Bad, format!("there is no {shown}"), "provost setup makes one");
        }
        Err(error) => {
            return Check::not(
                NAME,
                State::Look,
                format!("{shown}: {error}"),
                "try as root: it may be there",
            );
        }
    };
    let mode = meta.mode() & 0o7777;
    if mode & 0o007 != 0 {
        let mend = "provost setup makes another: this one may be known";
        return Check::not(NAME, State::Bad, format!("everybody may use {shown} (mode {mode:o})"), mend);
    }
    // Who is in the group may talk to the daemon; with the token it would not have to.
    if mode & 0o070 != 0
        && let Ok(Some(group)) = nix::unistd::Group::from_gid(meta.gid().into())
        && !group.mem.is_empty()
    {
        return Check::not(
            NAME,
            State::Bad,
            format!("group {} may use {shown} (mode {mode:o}): {}", group.name, group.mem.join(", ")),
            format!("chown provost:root {shown} && chmod 0400 {shown} && provost token rotate"),
        );
    }
    match std::fs::read_to_string(given) {
        Ok(text) => match shape(text.trim_end_matches('\n')) {
            Ok(()) => {
                Check::good(NAME, format!("{shown} is there, of the right form, and not everybody's to read"))
            }
            Err(why) => {
                Check::not(NAME, State::Bad, format!("{shown}: {why}"), "provost setup makes another")
            }
        },
        Err(_) => Check::good(NAME, format!("{shown} is there, and not everybody's to read")),
    }
}

/// Of a line that is shown to nobody.
fn shape(line: &str) -> Result<(), &'static str> {
    let (id, secret) = line.split_once('=').ok_or("it is not one line USER@REALM!ID=SECRET")?;
    let named = id.contains('@') && id.contains('!');
    let plain = line.bytes().all(|byte| byte.is_ascii_graphic());
    if !named || !plain || secret.len() < 8 {
        return Err("it is not one line USER@REALM!ID=SECRET");
    }
    Ok(())
}

/// When tokens end, by PVE's own file.
fn expiry(ground: &Ground, config: &Config) -> Option<Check> {
    const NAME: &str = "expiry";
    let ids: Vec<&str> = ground
        .examined
        .iter()
        .flat_map(|seen| &seen.tokens)
        .filter_map(|token| token.id.as_deref())
        .collect();
    let text = std::fs::read_to_string(config.pve.etc_pve.join("user.cfg")).ok()?;
    let now = now();
    let mut said = Vec::new();
    for line in text.lines() {
        let mut cells = line.strip_prefix("token:").unwrap_or_default().split(':');
        let (Some(id), Some(expire)) =
            (cells.next(), cells.next().and_then(|expire| expire.parse::<i64>().ok()))
        else {
            continue;
        };
        if expire > 0 && ids.contains(&id) {
            said.push(((expire - now) / 86_400, expire <= now, id.to_owned()));
        }
    }
    let (days, over, id) = said.into_iter().min()?;
    let mend = "provost token rotate --expire DAYS";
    Some(match (over, days) {
        (true, _) => Check::not(NAME, State::Bad, format!("the token {id} has expired"), mend),
        (_, days) if days < SOON => {
            Check::not(NAME, State::Look, format!("the token {id} expires in {days} days"), mend)
        }
        (_, days) => {
            Check::good(NAME, format!("the token {id} expires in {days} days, the first of those that do"))
        }
    })
}

fn certificate(path: &Path) -> Check {
    const NAME: &str = "certificate";
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Check::skipped(
                NAME,
                format!("{}: {error}; root and group www-data may read it", path.display()),
            );
        }
        Err(error) => {
            let mend = "name the node's own as [pve] certificate: without it no connection is made (pvecm updatecerts makes one)";
            return Check::not(NAME, State::Bad, format!("{}: {error}", path.display()), mend);
        }
    };
    dates(path, &bytes)
}

#[cfg(feature = "agent")]
fn dates(path: &Path, bytes: &[u8]) -> Check {
    const NAME: &str = "certificate";
    let malformed = |why: String| {
        let mend = "pvecm updatecerts --force makes another; then reload pveproxy";
        Check::not(NAME, State::Bad, format!("{} holds no certificate: {why}", path.display()), mend)
    };
    let pem = match x509_parser::pem::parse_x509_pem(bytes) {
        Ok((_, pem)) => pem,
        Err(error) => return malformed(error.to_string()),
    };
    let ends = match pem.parse_x509() {
        Ok(certificate) => certificate.validity().not_after.timestamp(),
        Err(error) => return malformed(error.to_string()),
    };
    // It is pinned, so its end stops nothing here; browsers and other nodes mind.
    match (ends - now()) / 86_400 {
        days if days < 0 => {
            let said = format!("{} has expired {} days ago", path.display(), -days);
            Check::not(
                NAME,
                State::Look,
                said,
                "pvecm updatecerts; Provost pins it and goes on, others do not",
            )
        }
        days => Check::good(NAME, format!("{} holds for {days} days", path.display())),
    }
}

#[cfg(not(feature = "agent"))]
fn dates(path: &Path, _: &[u8]) -> Check {
    Check::good("certificate", format!("{} is there", path.display()))
}

/// Whether receipts have room: without it nothing is changed.
fn room(dir: &Path) -> Check {
    const NAME: &str = "room";
    let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("/"));
    let stat = match nix::sys::statvfs::statvfs(there) {
        Ok(stat) => stat,
        Err(error) => return Check::skipped(NAME, format!("{}: {error}", there.display())),
    };
    let free = stat.blocks_available() as u64 * stat.fragment_size() as u64;
    let said = format!("{} MiB are free where the receipts are ({})", free >> 20, there.display());
    let mend = "make room, or move sealed segments away: provost audit archive";
    match free {
        free if free < NONE || stat.files() > 0 && stat.files_available() == 0 => {
            Check::not(NAME, State::Bad, format!("{said}: without room nothing is changed"), mend)
        }
        free if free < LITTLE => Check::not(NAME, State::Look, said, mend),
        _ => Check::good(NAME, said),
    }
}

/// A clock that runs wrong makes receipts, plans and tokens lie.
fn clock(ledger: &Path) -> Check {
    const NAME: &str = "clock";
    // 2025-01-01: no release is older.
    let (now, built) = (now(), 1_735_689_600);
    let mend = "timedatectl; systemctl status chrony";
    if now < built {
        return Check::not(NAME, State::Bad, "it says a day before this program was made", mend);
    }
    let head = std::fs::metadata(ledger.join("checkpoint")).and_then(|head| head.modified()).ok();
    let ahead =
        head.and_then(|head| head.duration_since(SystemTime::now()).ok()).map_or(0, |ahead| ahead.as_secs());
    match ahead {
        0..=60 => Check::good(NAME, "it says a time that can be"),
        ahead => Check::not(
            NAME,
            State::Bad,
            format!("the ledger's last head was signed {ahead} s from now"),
            mend,
        ),
    }
}

fn catalogue(docs: &'static str, apidoc: &Path) -> Check {
    match std::fs::metadata(apidoc) {
        Ok(meta) if meta.is_file() && meta.mode() & 0o022 == 0 => {
            Check::good(docs, format!("{} describes this node's API", apidoc.display()))
        }
        Ok(meta) => Check::not(
            docs,
            State::Look,
            format!(
                "{} is no file, or others may write it (mode {:o})",
                apidoc.display(),
                meta.mode() & 0o7777
            ),
            format!("apt install --reinstall {docs}"),
        ),
        Err(error) => Check::not(
            docs,
            State::Look,
            format!("{}: {error}; the built-in description serves", apidoc.display()),
            format!("apt install {docs}, or name its apidoc.js as [pve] apidoc"),
        ),
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_tokens_file_is_judged_by_who_may_use_it_and_by_its_form() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        assert_eq!(token(&path).state, State::Bad);
        for (text, mode, state) in [
            ("a@pve!t=5f3a1c9e-1111\n", 0o400, State::Good),
            ("a@pve!t=5f3a1c9e-1111\n", 0o644, State::Bad),
            ("PVEAPIToken\n", 0o400, State::Bad),
            ("a@pve!t = 5f3a1c9e-1111\n", 0o400, State::Bad),
        ] {
            let _ = std::fs::remove_file(&path);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let check = token(&path);
            assert_eq!(check.state, state, "{text} {mode:o}");
            assert!(!check.evidence.contains("5f3a"), "{}", check.evidence);
        }
    }

    #[test]
    fn a_head_from_the_future_and_a_directory_that_others_write_are_bad() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(clock(dir.path()).state, State::Good);
        let head = std::fs::File::create(dir.path().join("checkpoint")).unwrap();
        head.set_modified(SystemTime::now() + std::time::Duration::from_secs(3600)).unwrap();
        assert_eq!(clock(dir.path()).state, State::Bad);
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
        assert_eq!(place(&dir.path().join("provost.toml")).state, State::Bad);
        assert_eq!(room(dir.path()).state.max(State::Look), State::Look);
    }
}
