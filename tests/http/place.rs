//! Where it listens: a path, loopback, what systemd hands over; and nowhere else.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::common::eventually;
use crate::web::{Web, read, request};

fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn it_is_served_on_loopback_and_by_no_other_address() {
    let port = free();
    let web = Web::listening("", &format!("http = \"127.0.0.1:{port}\""));
    eventually("it listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(request("GET", "/health/live", &[], "").as_bytes()).unwrap();
    assert_eq!(read(&mut stream).status, 200);
    assert!(TcpStream::connect(("127.0.0.2", port)).is_err());
    drop(web);
}

#[test]
fn a_path_has_the_mode_of_the_others_and_goes_with_the_daemon() {
    let mut web = Web::start("");
    let mode = std::fs::metadata(web.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    web.restart();
    assert_eq!(web.get("/health/live").status, 200);
}

#[test]
fn another_place_than_this_node_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("provost.toml");
    for place in ["0.0.0.0:7180", "192.0.2.7:7180", "[::]:7180"] {
        std::fs::write(&file, format!("[listen]\nhttp = \"{place}\"\n")).unwrap();
        let checked =
            Command::new(env!("CARGO_BIN_EXE_provostd")).arg("--config").arg(&file).arg("--check").output();
        let checked = checked.unwrap();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(
            !checked.status.success() && said.contains("reverse proxy") && said.contains(place),
            "{said}"
        );
    }
}

#[test]
fn a_place_that_cannot_be_served_keeps_nobody_from_the_other_doors() {
    for place in ["{dir}/nowhere/http.sock".to_owned(), {
        // Somebody else has the port.
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        std::mem::forget(taken);
        format!("127.0.0.1:{port}")
    }] {
        let web = Web::listening("", &format!("http = \"{place}\""));
        assert_eq!(web.site.client().call("status", serde_json::json!({}))["isError"], false);
        assert!(web.provost(&["plans"]).status.success());
        assert!(web.site.log().contains("HTTP is not served"), "{}", web.site.log());
    }
}

/// The assistants' and the operators' sockets, on descriptors 3 and 4, handed over as `second` and its `control`.
fn handed_over(web: &Web, names: [&str; 2], unix: &str) -> std::process::Child {
    let dir = web.site.dir.path().display().to_string();
    let text = std::fs::read_to_string(web.site.dir.path().join("provost.toml")).unwrap();
    let text = text
        .replace(&format!("unix = \"{dir}/mcp.sock\""), &format!("unix = \"{unix}\""))
        .replace(&format!("{dir}/http.sock"), &format!("{dir}/second.http.sock"))
        .replace(&format!("{dir}/ledger"), &format!("{dir}/second/ledger"));
    let config = web.site.dir.path().join("second.toml");
    std::fs::write(&config, text).unwrap();
    std::fs::set_permissions(&config, PermissionsExt::from_mode(0o600)).unwrap();
    let script = "use Socket; use POSIX; use Fcntl; my @open; my $at = 20; \
         for (splice(@ARGV, 0, 2)) { unlink $_; socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die; \
           bind($s, pack_sockaddr_un($_)) or die $!; listen($s, 5) or die; push @open, $s; \
           POSIX::dup2(fileno($s), $at++) } \
         for (0, 1) { POSIX::dup2(20 + $_, 3 + $_); open(my $h, '<&=', 3 + $_) or die; fcntl($h, F_SETFD, 0); push @open, $h } \
         $ENV{LISTEN_FDS} = 2; $ENV{LISTEN_PID} = $$; exec @ARGV or die";
    let log = std::fs::File::create(web.site.dir.path().join("second.log")).unwrap();
    Command::new("perl")
        .args(["-e", script])
        .args(names.map(|name| format!("{dir}/{name}")))
        .args([env!("CARGO_BIN_EXE_provostd"), "--config"])
        .arg(&config)
        .env_remove("JOURNAL_STREAM")
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

#[test]
fn each_socket_that_is_handed_over_is_the_door_that_its_path_says_and_any_other_is_refused() {
    let web = Web::start("");
    let dir = web.site.dir.path();
    let name = dir.file_name().unwrap().to_str().unwrap();
    let spelled = format!("{}/../{name}/second.sock", dir.display());
    for names in [["second.sock", "second.control.sock"], ["second.control.sock", "second.sock"]] {
        let mut daemon = handed_over(&web, names, &spelled);
        let ask = |socket: &str, line: &str| {
            let mut stream = std::os::unix::net::UnixStream::connect(dir.join(socket)).ok()?;
            let _ = stream.set_read_timeout(Some(std::time::Duration::from_secs(5)));
            stream.write_all(line.as_bytes()).ok()?;
            let mut said = String::new();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(stream), &mut said).ok()?;
            Some(said).filter(|said| !said.is_empty())
        };
        let mut plans = None;
        eventually("the operators' door answers", || {
            plans = ask("second.control.sock", "{\"ask\":\"plans\"}\n");
            plans.is_some()
        });
        let ping = ask("second.sock", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n");
        let _ = (daemon.kill(), daemon.wait());
        assert!(plans.as_ref().is_some_and(|said| said.contains("\"plans\"")), "{names:?}: {plans:?}");
        assert!(ping.as_ref().is_some_and(|said| said.contains("\"jsonrpc\"")), "{names:?}: {ping:?}");
    }
    let mut refused = handed_over(&web, ["second.sock", "third.sock"], &spelled);
    assert!(!refused.wait().unwrap().success());
    let said = std::fs::read_to_string(dir.join("second.log")).unwrap();
    assert!(said.contains("third.sock") && said.contains("[listen] unix"), "{said}");
}

/// As systemd does: the socket is descriptor 3, and the daemon binds nothing of its own.
#[test]
fn what_the_service_manager_hands_over_is_served() {
    let port = free();
    let web = Web::listening("", &format!("http = \"127.0.0.1:{port}\""));
    let config = web.site.dir.path().join("second.toml");
    let text = std::fs::read_to_string(web.site.dir.path().join("provost.toml")).unwrap();
    let other = free();
    let dir = web.site.dir.path().display().to_string();
    let text = text
        .replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{other}"))
        .replace(&format!("{dir}/mcp.sock"), &format!("{dir}/second.sock"))
        .replace(&format!("{dir}/ledger"), &format!("{dir}/second/ledger"));
    std::fs::write(&config, text).unwrap();
    std::fs::set_permissions(&config, PermissionsExt::from_mode(0o600)).unwrap();
    // It listens before the daemon is there, on a descriptor that the daemon is handed.
    let script = format!(
        "use Socket; use Fcntl; socket(S, PF_INET, SOCK_STREAM, 0) or die; setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1); \
         bind(S, sockaddr_in({other}, inet_aton('127.0.0.1'))) or die $!; listen(S, 5) or die; \
         use POSIX; POSIX::dup2(fileno(S), 3) unless fileno(S) == 3; open(my $h, '<&=', 3); fcntl($h, F_SETFD, 0); \
         $ENV{{LISTEN_FDS}} = 1; $ENV{{LISTEN_PID}} = $$; exec @ARGV or die"
    );
    let mut daemon = Command::new("perl")
        .args(["-e", &script, env!("CARGO_BIN_EXE_provostd"), "--config"])
        .arg(&config)
        .env_remove("JOURNAL_STREAM")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut status = 0;
    eventually("it is served", || {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", other)) else { return false };
        let _ = stream.set_read_timeout(Some(std::time::Duration::from_secs(5)));
        let _ = stream.write_all(request("GET", "/health/live", &[], "").as_bytes());
        status = read(&mut stream).status;
        status == 200
    });
    let _ = (daemon.kill(), daemon.wait());
    assert_eq!(status, 200);
}
