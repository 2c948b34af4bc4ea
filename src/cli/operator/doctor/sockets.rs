//! The sockets: whether they are there, whose they are, and who listens.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use super::{Check, Ground, State};

pub fn checks(ground: &Ground) -> Vec<Check> {
    let Some(config) = &ground.config else { return Vec::new() };
    vec![door("socket", &config.listen.unix), door("operators", &config.listen.control())]
}

fn door(name: &'static str, path: &Path) -> Check {
    let shown = path.display();
    let start = "systemctl start provost.socket provost-control.socket provost";
    let meta = match std::fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Check::not(name, State::Bad, format!("there is no {shown}: nobody can connect"), start);
        }
        Err(error) => return Check::not(name, State::Look, format!("{shown}: {error}"), "try as root"),
    };
    if !meta.file_type().is_socket() {
        let said = format!("{shown} is no socket: something else was put there (uid {})", meta.uid());
        return Check::not(name, State::Bad, said, format!("see what it is and move it away; then {start}"));
    }
    let group = nix::unistd::Group::from_gid(meta.gid().into()).ok().flatten();
    let group = group.map_or_else(|| meta.gid().to_string(), |group| group.name);
    let whose = format!("{shown}, mode {:o}, group {group}", meta.mode() & 0o777);
    match UnixStream::connect(path) {
        Ok(stream) => {
            let Ok(peer) = getsockopt(&stream, PeerCredentials) else { return Check::good(name, whose) };
            let who = std::fs::read_to_string(format!("/proc/{}/comm", peer.pid())).unwrap_or_default();
            let who = crate::text::brief(&who, 20);
            // Before its first connection it is systemd that holds a socket.
            match who.as_str() {
                "" | "provostd" | "systemd" => Check::good(name, whose),
                _ => Check::not(
                    name,
                    State::Bad,
                    format!(
                        "{whose}: {who} (pid {}, uid {}) listens there, and not provostd",
                        peer.pid(),
                        peer.uid()
                    ),
                    format!("end it, remove {shown}, and: {start}"),
                ),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            let said = format!("{whose}: nobody listens; a daemon that was killed left it");
            Check::not(name, State::Bad, said, format!("rm {shown}; {start}"))
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let said = format!("{whose}: you may not connect");
            let mend = format!("usermod --append --groups {group} NAME (as root), and log in again");
            Check::not(name, State::Look, said, mend)
        }
        Err(error) => Check::not(name, State::Bad, format!("{whose}: {error}"), start),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_is_in_the_sockets_place_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mcp.sock");
        assert!(door("socket", &path).evidence.contains("there is no"));
        std::fs::write(&path, "").unwrap();
        assert!(door("socket", &path).evidence.contains("is no socket"));
        std::fs::remove_file(&path).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        let taken = door("socket", &path);
        assert!(
            taken.state == State::Bad && taken.evidence.contains("and not provostd"),
            "{}",
            taken.evidence
        );
        drop(listener);
        assert!(door("socket", &path).evidence.contains("nobody listens"));
    }
}
