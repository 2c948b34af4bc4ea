//! The sockets: whether they are there, whose they are, and who listens.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket};

use super::{Check, Ground, State};

pub fn checks(ground: &Ground) -> Vec<Check> {
    let Some(config) = &ground.config else { return Vec::new() };
    let mut checks = vec![door(&SERVED, &config.listen.unix), door(&OPERATORS, &config.listen.control())];
    if config.exec.enabled {
        checks.push(door(&EXEC, &config.exec.socket));
    }
    checks
}

/// A socket, who should listen there, and what brings it back.
struct Door {
    check: &'static str,
    kind: SockType,
    program: &'static str,
    /// Who may connect, where that is a group's members; none: the daemon's own account alone.
    by_group: bool,
    start: &'static str,
}

const START: &str = "systemctl start provost.socket provost-control.socket provost";
const SERVED: Door =
    Door { check: "socket", kind: SockType::Stream, program: "provostd", by_group: true, start: START };
const OPERATORS: Door = Door { check: "operators", ..SERVED };
const EXEC: Door = Door {
    check: "exec",
    kind: SockType::SeqPacket,
    program: "provost-execd",
    by_group: false,
    start: "systemctl enable --now provost-execd.socket, or [exec] enabled = false",
};

fn door(door: &Door, path: &Path) -> Check {
    let Door { check: name, program, start, .. } = *door;
    let shown = path.display();
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
    let mode = meta.mode() & 0o777;
    let group = nix::unistd::Group::from_gid(meta.gid().into()).ok().flatten();
    let group = group.map_or_else(|| meta.gid().to_string(), |group| group.name);
    let user = nix::unistd::User::from_uid(meta.uid().into()).ok().flatten();
    let user = user.map_or_else(|| meta.uid().to_string(), |user| user.name);
    let whose = match door.by_group {
        true => format!("{shown}, mode {mode:o}, group {group}"),
        false => format!("{shown}, mode {mode:o}, user {user}"),
    };
    match connected(path, door.kind) {
        Ok(stream) => match peer(&stream) {
            // Before its first connection it is systemd that holds a socket.
            Some((pid, comm, uid)) if !["", program, "systemd"].contains(&comm.as_str()) => Check::not(
                name,
                State::Bad,
                format!("{whose}: {comm} (pid {pid}, uid {uid}) listens there, and not {program}"),
                format!("end it, remove {shown}, and: {start}"),
            ),
            _ if !door.by_group && mode & 0o077 != 0 => Check::not(
                name,
                State::Look,
                format!("{whose}: others than its owner may connect"),
                format!("SocketMode=0600 in provost-execd.socket; chmod 600 {shown}"),
            ),
            _ => Check::good(name, whose),
        },
        Err(Errno::ECONNREFUSED) => {
            let said = format!("{whose}: nobody listens; a daemon that was killed left it");
            Check::not(name, State::Bad, said, format!("rm {shown}; {start}"))
        }
        Err(Errno::EACCES) if door.by_group => {
            let said = format!("{whose}: you may not connect");
            let mend = format!("usermod --append --groups {group} NAME (as root), and log in again");
            Check::not(name, State::Look, said, mend)
        }
        Err(Errno::EACCES) => {
            Check::skipped(name, format!("{whose}: yours is another account, as it should be"))
        }
        Err(Errno::EPROTOTYPE) => {
            let said = format!("{whose}: a socket of another kind was put there");
            Check::not(name, State::Bad, said, format!("end whoever listens there, rm {shown}; {start}"))
        }
        Err(Errno::EAGAIN) => {
            let said = format!("{whose}: more wait to be let in than its queue holds");
            Check::not(
                name,
                State::Bad,
                said,
                format!("journalctl -t {program}; if it hangs: systemctl restart it"),
            )
        }
        Err(errno) => Check::not(name, State::Bad, format!("{whose}: {}", errno.desc()), start),
    }
}

/// The process that listens there, if it is that program by its name.
pub fn listener(path: &Path, kind: SockType, program: &str) -> Option<i32> {
    let (pid, comm, _) = peer(&connected(path, kind).ok()?)?;
    (comm == program).then_some(pid)
}

/// Never waits: a listener that is full hangs up on nobody and lets nobody in.
fn connected(path: &Path, kind: SockType) -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let stream = socket(AddressFamily::Unix, kind, flags, None)?;
    connect(stream.as_raw_fd(), &UnixAddr::new(path)?).map(|()| stream)
}

/// Its number, its name and its account.
fn peer(stream: &OwnedFd) -> Option<(i32, String, u32)> {
    let peer = getsockopt(stream, PeerCredentials).ok()?;
    let comm = std::fs::read_to_string(format!("/proc/{}/comm", peer.pid())).unwrap_or_default();
    Some((peer.pid(), crate::text::brief(comm.trim(), 20), peer.uid()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_is_in_the_sockets_place_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mcp.sock");
        for served in [&SERVED, &EXEC] {
            let says = |text: &str, state: State| {
                let check = door(served, &path);
                assert!(check.evidence.contains(text) && check.state == state, "{check:?}");
                assert_eq!(check.mend.is_some(), state > State::Good, "{check:?}");
            };
            says("there is no", State::Bad);
            std::fs::create_dir(&path).unwrap();
            says("is no socket", State::Bad);
            std::fs::remove_dir(&path).unwrap();
            let listener = UnixListener::bind(&path).unwrap();
            if served.kind == SockType::Stream {
                says("and not provostd", State::Bad);
                drop(listener);
                says("nobody listens", State::Bad);
            } else {
                says("of another kind", State::Bad);
            }
            std::fs::remove_file(&path).unwrap();
        }
    }
}
