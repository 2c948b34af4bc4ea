//! What the service manager handed over, and which door each of it is for: the one whose path it listens at. One that no door
//! claims would stand for a door that it is not, so the daemon does not start with it.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use super::unix::ListenError;

/// As systemd names it where nothing else is said.
const HTTP: &str = "provost-http.socket";

pub struct Handed {
    unix: Vec<Unix>,
    pub vsock: Vec<vsock::VsockListener>,
    pub tcp: Vec<std::net::TcpListener>,
}

struct Unix {
    listener: UnixListener,
    /// Of the unit that it is from; empty where nobody said.
    name: String,
    path: Option<PathBuf>,
}

impl Handed {
    pub fn of_environment() -> Result<Self, ListenError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':').map(str::to_owned);
        let mut sockets = listenfd::ListenFd::from_env();
        let mut handed = Self { unix: Vec::new(), vsock: Vec::new(), tcp: Vec::new() };
        for at in 0..sockets.len() {
            let name = names.next().unwrap_or_default();
            // One that is no vsock's is left where it is.
            if let Ok(listener) =
                sockets.take_custom(at, libc::AF_VSOCK, libc::SOCK_STREAM, "vsock stream socket")
            {
                handed.vsock.extend(listener);
                continue;
            }
            match sockets.take_tcp_listener(at) {
                Ok(listener) => handed.tcp.extend(listener),
                Err(_) => {
                    let listener = sockets.take_unix_listener(at).map_err(ListenError::Activation)?;
                    handed.unix.extend(listener.map(|listener| Unix::of(listener, name)));
                }
            }
        }
        Ok(handed)
    }

    /// The one that listens at this path, however it is spelled.
    pub fn at(&mut self, path: &Path) -> Option<UnixListener> {
        let wanted = whole(path);
        let is_it = |one: &Unix| one.path.as_deref().is_some_and(|at| at == path || whole(at) == wanted);
        let at = self.unix.iter().position(is_it)?;
        Some(self.unix.swap_remove(at).listener)
    }

    /// HTTP's where it is not the one that is wanted: it is known by its name, and served to nobody.
    pub fn drop_http(&mut self) {
        self.unix.retain(|one| {
            let is_http =
                one.name == HTTP || one.path.as_deref().is_some_and(|path| path.ends_with("http.sock"));
            if is_http {
                tracing::warn!(
                    "{HTTP} listens on {}, which [listen] http does not name: nobody is answered there",
                    one.shown()
                );
            }
            !is_http
        });
    }

    /// Whether every path was claimed.
    pub fn all_claimed(&self) -> Result<(), ListenError> {
        match self.unix.first() {
            None => Ok(()),
            Some(one) => {
                let name = if one.name.is_empty() { "without a name" } else { &one.name };
                Err(ListenError::Unclaimed { at: one.shown(), name: name.to_owned() })
            }
        }
    }
}

impl Unix {
    fn of(listener: UnixListener, name: String) -> Self {
        let address = listener.local_addr().ok();
        let path = address.and_then(|address| address.as_pathname().map(Path::to_owned));
        Self { listener, name, path }
    }

    fn shown(&self) -> String {
        self.path.as_ref().map_or_else(|| "no path".into(), |path| path.display().to_string())
    }
}

/// With its directory as it is without links: `/var/run` is `/run`.
fn whole(path: &Path) -> PathBuf {
    let resolved = path.parent().and_then(|dir| Some(dir.canonicalize().ok()?.join(path.file_name()?)));
    resolved.unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(dir: &Path, names: &[(&str, &str)]) -> Handed {
        let unix = names.iter().map(|(file, name)| {
            let _ = std::fs::remove_file(dir.join(file));
            Unix::of(UnixListener::bind(dir.join(file)).unwrap(), (*name).to_owned())
        });
        Handed { unix: unix.collect(), vsock: Vec::new(), tcp: Vec::new() }
    }

    fn file(listener: Option<UnixListener>) -> Option<String> {
        let address = listener?.local_addr().ok()?;
        Some(address.as_pathname()?.file_name()?.to_str()?.to_owned())
    }

    #[test]
    fn each_door_gets_the_socket_at_its_path_however_it_is_spelled_and_in_whichever_order_it_came() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("run");
        std::fs::create_dir(&real).unwrap();
        let other = dir.path().join("var-run");
        std::os::unix::fs::symlink(&real, &other).unwrap();
        for names in
            [["mcp.sock", "mcp.control.sock", "http.sock"], ["http.sock", "mcp.control.sock", "mcp.sock"]]
        {
            for spelled in [&real, &other, &real.join("../run"), &real.join(".")] {
                let mut handed = handed(&real, &names.map(|name| (name, "")));
                for name in ["mcp.control.sock", "mcp.sock", "http.sock"] {
                    assert_eq!(file(handed.at(&spelled.join(name))).as_deref(), Some(name), "{spelled:?}");
                }
                assert!(handed.all_claimed().is_ok());
            }
        }
    }

    #[test]
    fn what_no_door_claims_is_refused_but_https_which_is_served_to_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let mut handed = handed(
            dir.path(),
            &[
                ("mcp.sock", "provost.socket"),
                ("web", "provost-http.socket"),
                ("http.sock", ""),
                ("other.sock", "provost.socket"),
            ],
        );
        assert!(file(handed.at(&dir.path().join("elsewhere.sock"))).is_none());
        assert!(handed.at(&dir.path().join("mcp.sock")).is_some());
        handed.drop_http();
        let refused = handed.all_claimed().unwrap_err().to_string();
        assert!(refused.contains("other.sock") && refused.contains("provost.socket"), "{refused}");
        assert!(handed.at(&dir.path().join("other.sock")).is_some() && handed.all_claimed().is_ok());
    }
}
