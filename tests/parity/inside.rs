//! What a command sees of itself.

use crate::common::Node;
use crate::differences::{compare, passed_over};
use crate::facts::{Facts, seen};
use crate::place::{Place, everywhere};

const PROBE: &str = include_str!("probe.sh");

everywhere!(a_command_sees_what_lxc_attach_shows_it);

fn a_command_sees_what_lxc_attach_shows_it(place: Place) {
    let (lxc, provost) = (probe_by_lxc(place, &[]), probe_by_provost(place, &place.node(), None));
    compare("what the command sees", &lxc, &provost);
}

/// What the probe sees that lxc-attach starts with these options.
pub fn probe_by_lxc(place: Place, options: &[&str]) -> Facts {
    probe(|argv| place.by_lxc(options, argv))
}

/// What the probe sees that Provost starts for this `user`.
pub fn probe_by_provost(place: Place, node: &Node, user: Option<&str>) -> Facts {
    probe(|argv| place.by_provost(node, user, argv))
}

fn probe(run: impl FnOnce(&[&str]) -> String) -> Facts {
    let (prctl, keyctl) = (libc::SYS_prctl.to_string(), libc::SYS_keyctl.to_string());
    let mut argv = vec!["/bin/sh", "-c", PROBE, "probe", &prctl, &keyctl];
    argv.extend(passed_over());
    let facts = seen(&run(&argv));
    // One of each section, so that a probe that went blind is not taken for parity.
    for fact in [
        "status/CapBnd",
        "stat/policy",
        "ns/user",
        "limits/Max open files",
        "mountinfo",
        "environ/PATH",
        "fd/1",
        "uid_map",
        "cgroup/",
        "prctl/securebits",
        "scheduling",
        "keyring/session",
        "terminal",
        "setgroups",
        "cwd",
        "attr/current",
    ] {
        assert!(facts.contains_key(fact), "the probe told nothing of {fact}");
    }
    facts
}
