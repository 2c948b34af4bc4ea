//! HTTP: whether what `[listen] http` names is served, and by whose socket.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::{Check, Ground, State, systemd};
use crate::config::{Config, HttpPlace};

const NAME: &str = "http";
const UNIT: &str = "provost-http.socket";
/// For the daemon to say that it is alive.
const PATIENCE: Duration = Duration::from_secs(5);
const OPEN: &str = "systemctl enable provost-http.socket && systemctl restart provost";
/// Lets systemd bind a port for it, where SELinux says which the domain has.
const PORT_IS_HELD: &str = "setsebool -P provost_serve_loopback on";

pub fn checks(ground: &Ground) -> Vec<Check> {
    let Some(config) = &ground.config else { return Vec::new() };
    let unit = systemd::runs().then(|| Unit {
        state: systemd::property(UNIT, "ActiveState").unwrap_or_else(|| "unknown".into()),
        listen: systemd::property(UNIT, "Listen").unwrap_or_default(),
        selinux: std::path::Path::new("/sys/fs/selinux/enforce").exists(),
    });
    judge(config, unit.as_ref(), alive)
}

/// Of systemd's socket: its state, and what it listens on.
struct Unit {
    state: String,
    listen: String,
    /// Whether SELinux says which ports it may have.
    selinux: bool,
}

fn judge(config: &Config, unit: Option<&Unit>, alive: impl Fn(&HttpPlace) -> io::Result<()>) -> Vec<Check> {
    let active = unit.filter(|unit| unit.state == "active");
    let Some(place) = &config.listen.http else {
        let mend = "set [listen] http to its path, or: systemctl disable --now provost-http.socket";
        let said = format!("{UNIT} listens, and [listen] http is not set: nobody is answered there");
        return active.map(|_| Check::not(NAME, State::Look, said, mend)).into_iter().collect();
    };
    let bad = |evidence: String, mend: String| vec![Check::not(NAME, State::Bad, evidence, mend)];
    match unit {
        Some(Unit { state, selinux, .. }) if state != "active" => {
            let why = format!(
                "[listen] http is {place}, and {UNIT} is {state}: the daemon's unit lets it open none itself"
            );
            // With --now systemd would refuse to open a socket for a service that runs.
            let is_held = *selinux && matches!(place, HttpPlace::Loopback(_));
            return bad(why, if is_held { format!("{PORT_IS_HELD} && {OPEN}") } else { OPEN.into() });
        }
        // `/run/provost/http.sock (Stream)`
        Some(Unit { listen, .. }) if !listens(listen, place) => {
            let why =
                format!("[listen] http is {place}, and {UNIT} listens on {}", crate::text::brief(listen, 60));
            let mend = "systemctl edit provost-http.socket: [Socket] ListenStream= and ListenStream=";
            return bad(why, format!("{mend}{place}; then restart it and provost"));
        }
        _ => {}
    }
    match alive(place) {
        Ok(()) => vec![Check::good(NAME, format!("{place} is served, for who has a token"))],
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let said = format!("{place}: you may not connect");
            vec![Check::not(NAME, State::Look, said, "try as root")]
        }
        Err(error) => bad(
            format!("[listen] http is {place}, and nobody answers there: {error}"),
            format!("{OPEN}; journalctl -t provost says why it is not served"),
        ),
    }
}

/// Whether a unit's `Listen` names the place; its directory may be spelled in another way.
fn listens(listen: &str, place: &HttpPlace) -> bool {
    let each = || listen.split_whitespace().filter(|word| !word.starts_with('('));
    match place {
        HttpPlace::Loopback(address) => each().any(|word| word == address.to_string()),
        HttpPlace::Unix(path) => {
            let whole = |path: &std::path::Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
            each().any(|word| whole(word.as_ref()) == whole(path))
        }
    }
}

fn alive(place: &HttpPlace) -> io::Result<()> {
    match place {
        HttpPlace::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            answers(stream)
        }
        HttpPlace::Loopback(address) => {
            let stream = TcpStream::connect_timeout(address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            answers(stream)
        }
    }
}

fn answers(mut stream: impl Read + Write) -> io::Result<()> {
    stream.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut said = Vec::new();
    stream.take(4096).read_to_end(&mut said)?;
    let is_ours = said.starts_with(b"HTTP/1.1 200") && said.ends_with(b"{\"alive\":true}");
    match is_ours {
        true => Ok(()),
        false => Err(io::Error::other("what listens there is not provostd")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use super::*;

    const ON: &str = "[listen]\nhttp='/run/provost/http.sock'";

    fn said(text: &str, unit: Option<(&str, &str)>, alive: io::Result<()>) -> Vec<(State, String)> {
        let config = crate::config::parse(Path::new("x"), text).unwrap();
        let unit =
            unit.map(|(state, listen)| Unit { state: state.into(), listen: listen.into(), selinux: true });
        let answer = |_: &HttpPlace| alive.as_ref().copied().map_err(|error| error.kind().into());
        let checks = judge(&config, unit.as_ref(), answer);
        assert!(
            checks.iter().all(|check| (check.state == State::Good) == check.mend.is_none()),
            "{checks:?}"
        );
        checks.into_iter().map(|check| (check.state, check.evidence)).collect()
    }

    #[test]
    fn what_keeps_http_from_being_served_is_told_with_its_mend() {
        let served = ("active", "/run/provost/http.sock (Stream)");
        let port = "[listen]\nhttp='127.0.0.1:7180'";
        let refused = || Err(io::ErrorKind::ConnectionRefused.into());
        assert!(said("", None, Ok(())).is_empty() && said("", Some(("inactive", "")), Ok(())).is_empty());
        for (text, unit, alive, state, says) in [
            ("", Some(served), Ok(()), State::Look, "is not set"),
            (ON, Some(served), Ok(()), State::Good, "is served"),
            (ON, None, Ok(()), State::Good, "is served"),
            (port, Some(("active", "127.0.0.1:7180 (Stream)")), Ok(()), State::Good, "is served"),
            (ON, Some(("inactive", "")), Ok(()), State::Bad, "provost-http.socket is inactive"),
            (port, Some(served), Ok(()), State::Bad, "listens on /run/provost/http.sock"),
            (
                port,
                Some(("active", "127.0.0.1:71800 (Stream)")),
                Ok(()),
                State::Bad,
                "listens on 127.0.0.1:71800",
            ),
            (ON, Some(served), refused(), State::Bad, "nobody answers there"),
            (ON, None, refused(), State::Bad, "nobody answers there"),
            (ON, None, Err(io::ErrorKind::PermissionDenied.into()), State::Look, "you may not connect"),
        ] {
            let said = said(text, unit, alive);
            assert!(said.len() == 1 && said[0].0 == state && said[0].1.contains(says), "{says}: {said:?}");
        }
    }

    #[test]
    fn a_port_that_selinux_holds_is_mended_by_its_switch_and_a_path_is_not() {
        let mend = |http: &str, selinux: bool| {
            let config = crate::config::parse(Path::new("x"), &format!("[listen]\nhttp='{http}'")).unwrap();
            let unit = Unit { state: "failed".into(), listen: String::new(), selinux };
            let checks = judge(&config, Some(&unit), |_| Ok(()));
            checks[0].mend.clone().unwrap()
        };
        assert!(
            mend("127.0.0.1:7180", true).starts_with("setsebool -P provost_serve_loopback on && systemctl")
        );
        assert!(!mend("127.0.0.1:7180", false).contains("setsebool"));
        assert!(!mend("/run/provost/http.sock", true).contains("setsebool"));
    }

    #[test]
    fn who_listens_and_is_not_the_daemon_is_not_taken_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("http.sock");
        let place = HttpPlace::Unix(path.clone());
        assert!(alive(&place).is_err());
        let listener = UnixListener::bind(&path).unwrap();
        let other = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 512]);
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhello").unwrap();
        });
        assert!(alive(&place).unwrap_err().to_string().contains("not provostd"));
        other.join().unwrap();
    }
}
