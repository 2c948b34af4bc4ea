//! `provostd` as the unit starts it, by a systemd of its own: it serves, and what it gave up it cannot take back.

use std::fs;

use serde_json::{Value, json};

use crate::common::{lxc_attach, root};
use crate::guest::{Guest, Recipe};

#[test]
fn the_units_walls_stand_and_provostd_serves_behind_them() {
    let mut recipe = Recipe::new()
        .booted()
        .file("/etc/provost/provost.toml", 0o644, "[[role]]\nname = 'all'\nmembers = ['user:root']\n")
        .file("/usr/sbin/provostd", 0o755, fs::read(env!("CARGO_BIN_EXE_provostd")).expect("provostd"))
        .file("/usr/bin/provost", 0o755, fs::read(env!("CARGO_BIN_EXE_provost")).expect("provost"));
    for unit in ["provost.service", "provost.socket", "provost-control.socket"] {
        let text = fs::read(root().join("systemd").join(unit)).expect("unit");
        recipe = recipe.file(&format!("/etc/systemd/system/{unit}"), 0o644, text);
    }
    let guest = recipe.start();
    let inside = |script: &str| lxc_attach("v2", guest.id, &["sh", "-c", script]);
    inside(
        "useradd --system --user-group --shell /usr/sbin/nologin provost && systemctl start provost.socket",
    );

    let status = status(&guest);
    assert_eq!(status["principal"]["user"], "root", "who connects is seen as it is: {status}");
    assert_eq!(status["role"], "all", "{status}");
    let sandbox = &status["sandbox"];
    assert_eq!((&sandbox["capabilities"], &sandbox["seccomp"]), (&json!("none"), &json!(true)), "{sandbox}");

    // The operators' door is the second socket that is handed over.
    inside("provost halt --why 'a test' && provost plans");
    assert_eq!(self::status(&guest)["halted"], json!(true));
    inside("systemctl restart provost.service");
    assert_eq!(self::status(&guest)["halt"]["why"], json!("a test"), "a restart lifts no halt");
    inside("provost resume");
    let halted = inside("setpriv --reuid 65534 --clear-groups provost halt 2>&1 || echo refused");
    assert!(
        halted.contains("root, and the members of [approval]") && halted.ends_with("refused\n"),
        "{halted}"
    );

    let pid = inside("systemctl show -P MainPID provost.service");
    let held = inside(&format!("cat /proc/{}/status", pid.trim()));
    for line in ["CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(held.contains(line), "{line}: {held}");
    }
    let limits = inside("systemctl show -p MemoryMax -p TasksMax -p RestrictAddressFamilies provost.service");
    for line in ["MemoryMax=1073741824", "TasksMax=32", "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX"] {
        assert!(limits.contains(line), "{line}: {limits}");
    }
    inside("systemctl stop provost.service provost.socket provost-control.socket");
    assert_eq!(inside("systemctl show -P Result provost.service").trim(), "success");
}

/// `status` over `provost bridge`, in the guest.
fn status(guest: &Guest) -> Value {
    let client = json!({ "name": "test", "version": "1" });
    let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
    let lines = [
        json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello }),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "status", "arguments": {} } }),
    ];
    let script = format!("printf '%s\\n' '{}' '{}' '{}' | provost bridge", lines[0], lines[1], lines[2]);
    let said = lxc_attach("v2", guest.id, &["sh", "-c", &script]);
    let answers = said.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let answer = answers.into_iter().find(|answer| answer["id"] == 1).expect("an answer");
    answer["result"]["structuredContent"].clone()
}
