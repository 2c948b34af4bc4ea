//! What is left of setup when the package is purged and nobody said `provost uninstall` before.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The package's own script, for a directory in place of the machine.
fn purge(root: &Path) {
    let script = fs::read_to_string(crate::common::root().join("debian/provost.postrm")).unwrap();
    let within = root.display();
    let script = ["/etc", "/var", "/run"]
        .iter()
        .fold(script, |text, top| text.replace(&format!("{top}/"), &format!("{within}{top}/")));
    // None of it is the machine's: each path begins with the directory.
    let lines = script.lines().skip(1).filter(|line| !line.trim_start().starts_with('#'));
    for word in
        lines.flat_map(|line| line.split([' ', '=', '"', '<', '>'])).filter(|word| word.starts_with('/'))
    {
        assert!(word.starts_with(&within.to_string()) || word == "/dev/null", "{word}");
    }
    let ran = Command::new("/bin/sh").args(["-c", &script, "postrm", "purge"]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn a_purge_takes_what_setup_wrote_for_systemd_and_what_it_sealed_and_nothing_of_a_persons() {
    for mine in [false, true] {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("etc/provost/credentials", "pve-token\npve-token-dev\n../mine\n\n");
        for name in ["pve-token", "pve-token-dev", "ledger-key"] {
            write(&format!("etc/credstore.encrypted/{name}"), "sealed");
        }
        write("etc/mine", "mine");
        write("etc/systemd/system/provost.service.d/provost-setup.conf", "# Written by provost setup.\n");
        if mine {
            write("etc/systemd/system/provost.service.d/mine.conf", "[Service]\n");
        }
        purge(root.path());
        let is = |name: &str| root.path().join(name).exists();
        assert!(!is("etc/provost") && !is("etc/credstore.encrypted/pve-token"));
        assert!(
            !is("etc/credstore.encrypted/pve-token-dev")
                && is("etc/credstore.encrypted/ledger-key")
                && is("etc/mine")
        );
        assert!(!is("etc/systemd/system/provost.service.d/provost-setup.conf"));
        assert_eq!(is("etc/systemd/system/provost.service.d"), mine);
    }
}
