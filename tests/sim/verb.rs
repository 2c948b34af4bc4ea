//! `provost demo`, as an operator runs it.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn the_verb_says_what_a_configuration_needs_and_ends_at_sigterm() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_provost"))
        .args([
            "demo",
            "--guests",
            "20",
            "--container",
            "101",
            "--listen",
            "127.0.0.1:0",
            "--daemon",
            "127.0.0.1:0",
        ])
        .arg("--dir")
        .arg(dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = String::new();
    for line in lines.by_ref() {
        let line = line.unwrap();
        told.push_str(&line);
        told.push('\n');
        if line.starts_with("# Faults:") {
            break;
        }
    }
    // As it stands, it is a piece of a configuration.
    let config: toml::Table = toml::from_str(&told).unwrap();
    let pve = config["pve"].as_table().unwrap();
    assert!(pve["url"].as_str().unwrap().starts_with("https://127.0.0.1:"));
    assert!(pve["daemon"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    let token = std::path::Path::new(pve["token"].as_str().unwrap());
    assert_eq!(std::fs::metadata(token).unwrap().permissions().mode() & 0o777, 0o600);
    let agent = std::fs::read_to_string(dir.path().join("pve-token-agent")).unwrap();
    assert!(agent.starts_with("agent@pve!mcp="));
    let etc_pve = std::path::Path::new(pve["etc_pve"].as_str().unwrap());
    assert!(etc_pve.join("nodes/pve1/lxc/101.conf").exists());
    assert!(std::path::Path::new(pve["certificate"].as_str().unwrap()).exists());
    let apidoc = std::fs::read(pve["apidoc"].as_str().unwrap()).unwrap();
    assert!(provost::catalog::import::script(&apidoc).is_ok());
    // And the Backup Server that one of its storages names is there, with the certificate that the storage knows it by.
    let server = dir.path().join("backup-server");
    assert!(told.contains(server.join("pbs-token").to_str().unwrap()), "{told}");
    let storages = std::fs::read_to_string(etc_pve.join("storage.cfg")).unwrap();
    let named = storages.split("\n\n").find(|section| section.starts_with("pbs: vault")).expect("a storage");
    let value = |key: &str| {
        let line =
            named.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap_or_else(|| panic!("{named}"));
        line.trim().to_owned()
    };
    let address = format!("{}:{}", value("server "), value("port "));
    assert!(told.contains(&format!("https://{address}")), "{told}");
    assert!(std::net::TcpStream::connect(&address).is_ok());
    let printed = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(server.join("proxy.pem"))
        .output()
        .expect("openssl");
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert_eq!(printed.trim().rsplit('=').next().unwrap(), value("fingerprint "));

    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_cluster_that_is_kept_goes_on_after_a_kill_and_a_task_that_ran_has_no_end_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        let mut child = Command::new(env!("CARGO_BIN_EXE_provost"))
            .args(["demo", "--guests", "20", "--container", "101", "--keep", "--dir"])
            .arg(dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let told: Vec<String> = lines.take_while(|line| !line.starts_with("# Faults:")).collect();
        let config: toml::Table = toml::from_str(&told.join("\n")).unwrap();
        (child, config["pve"]["daemon"].as_str().unwrap().trim_start_matches("http://").to_owned())
    };
    let call = |address: &str, method: &str, path: &str| {
        use std::io::{Read, Write};
        let token = std::fs::read_to_string(dir.path().join("pve-token")).unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let token = token.trim();
        write!(
            stream,
            "{method} /api2/json{path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: PVEAPIToken={token}\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };

    let (mut child, address) = start();
    assert!(call(&address, "POST", "/access/users?userid=kept@pve").contains(" 200 "));
    let begun = call(&address, "POST", "/nodes/pve1/lxc/101/snapshot?snapname=cut");
    assert!(begun.contains(":vzsnapshot:101:"), "{begun}");
    child.kill().unwrap();
    child.wait().unwrap();

    let (mut child, address) = start();
    assert!(call(&address, "GET", "/access/users").contains("kept@pve"));
    let tasks = call(&address, "GET", "/nodes/pve1/tasks?source=all");
    assert!(tasks.contains("unexpected status"), "{tasks}");
    assert!(std::fs::read_to_string(dir.path().join("etc-pve/user.cfg")).unwrap().contains("kept@pve"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_port_that_is_taken_is_an_error_that_says_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_provost"))
        .args(["demo", "--guests", "1", "--daemon", "127.0.0.1:0", "--listen"])
        .arg(taken.local_addr().unwrap().to_string())
        .arg("--dir")
        .arg(dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(69));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("provost demo: cannot listen on 127.0.0.1:"), "{said}");
}

#[test]
fn ten_thousand_guests_need_no_word_more() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_provost"))
        .args(["demo", "--guests", "10000"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.into_iter().find(|line| line.starts_with("etc_pve")).expect("where the tree is");
    let tree = std::path::PathBuf::from(line.split('"').nth(1).unwrap());
    let list: serde_json::Value =
        serde_json::from_slice(&std::fs::read(tree.join(".vmlist")).unwrap()).unwrap();
    assert!(list["ids"].as_object().unwrap().len() >= 10_000);
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!tree.exists(), "what nobody named is not left behind");
}

#[test]
fn the_verb_is_told_of() {
    let help = Command::new(env!("CARGO_BIN_EXE_provost")).arg("--help").output().unwrap();
    assert!(String::from_utf8(help.stdout).unwrap().contains("  demo "));
    let dir = tempfile::tempdir().unwrap();
    let man = Command::new(env!("CARGO_BIN_EXE_provost")).arg("man").arg(dir.path()).status().unwrap();
    assert!(man.success() && dir.path().join("provost-demo.1").exists());
    let script = Command::new(env!("CARGO_BIN_EXE_provost")).args(["completions", "bash"]).output().unwrap();
    assert!(String::from_utf8(script.stdout).unwrap().contains("provost__subcmd__demo"));
}
