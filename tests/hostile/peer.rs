//! Who is at the other end of the socket between the daemons: each asks the kernel, and neither believes a path.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{Node, eventually};

/// Kept out by the socket's mode; and where that lets it, told so.
#[test]
fn another_account_is_not_served() {
    use std::os::unix::fs::PermissionsExt;
    let node = Node::start();
    let ask = "use Socket; socket(my $s, AF_UNIX, SOCK_SEQPACKET, 0); \
        connect($s, pack_sockaddr_un($ARGV[0])) or die \"$!\\n\"; recv($s, my $said, 65536, 0); print $said";
    let other = |ask: &str| {
        let output = Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "perl", "-e", ask])
            .arg(node.exec_socket())
            .stdin(Stdio::null())
            .output()
            .expect("another account");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    assert_eq!(other(ask), "Permission denied\n");
    std::fs::set_permissions(node.exec_socket(), PermissionsExt::from_mode(0o666)).expect("mode");
    let said = other(ask);
    assert!(said.contains("\"kind\":\"peer\"") && said.contains("65534"), "{said}");
    eventually("it is on record", || node.execd_log().contains("refused a connection from another account"));
}

/// Somebody who is not root, where `provost-execd` should be.
#[test]
fn provostd_asks_nobody_who_is_not_root() {
    let mut node = Node::start();
    node.end_execd();
    let mut client = node.client();
    let call =
        serde_json::json!({ "guest": 101, "argv": ["/bin/true"], "stdin": "a secret", "mode": "change" });
    assert_eq!(client.refused(call.clone())["kind"], "execd_unreachable");
    // The directory is provostd's own: what listens there as provostd is an impostor.
    let pretend = "use Socket; socket(my $s, AF_UNIX, SOCK_SEQPACKET, 0); bind($s, pack_sockaddr_un($ARGV[0])) or die; \
        listen($s, 5); while (accept(my $c, $s)) { recv($c, my $said, 65536, 0); print \"heard: $said\\n\"; }";
    let agent = crate::common::node::AGENT.to_string();
    let mut impostor = Command::new("setpriv")
        .args(["--reuid", &agent, "--regid", &agent, "--clear-groups", "perl", "-e", pretend])
        .arg(node.exec_socket())
        .stdout(Stdio::piped())
        .spawn()
        .expect("an impostor");
    let socket = node.exec_socket();
    eventually("it listens", || Path::exists(&socket));
    let mut error = client.refused(call.clone());
    // Until it listens, nobody answers.
    eventually("it is found out", || {
        error = client.refused(call.clone());
        error["kind"] == "execd_impostor"
    });
    impostor.kill().expect("kill");
    let heard = impostor.wait_with_output().expect("its end").stdout;
    assert!(
        !String::from_utf8_lossy(&heard).contains("sleep")
            && !String::from_utf8_lossy(&heard).contains("argv")
    );
}
