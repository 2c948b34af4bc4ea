//! What lxc-attach takes from a container's configuration, and no container of the lab has.

use crate::differences::compare;
use crate::facts::Facts;
use crate::inside::{probe_by_lxc, probe_by_provost};
use crate::own::Own;
use crate::place::Place;

/// Through both ways, compared.
fn both(place: Place) -> Facts {
    let (lxc, provost) = (probe_by_lxc(place, &[]), probe_by_provost(place, &place.node(), None));
    compare("what the command sees", &lxc, &provost);
    provost
}

#[test]
fn a_time_namespace_is_joined() {
    let own = Own::start(&[], "lxc.time.offset.boot = 86400s\n");
    assert!(both(own.place)["timens_offsets"].contains("86400"));
}

#[test]
fn a_namespace_that_the_container_shares_with_the_host_is_the_hosts() {
    let own = Own::start(&[], "lxc.namespace.keep = ipc\n");
    let host = std::fs::read_link("/proc/self/ns/ipc").expect("a link");
    assert_eq!(both(own.place)["ns/ipc"], host.display().to_string());
}

#[test]
fn the_personality_is_that_of_lxc_arch() {
    let own = Own::start(&[], "lxc.arch = i686\n");
    assert_eq!(both(own.place)["personality"], "00000008");
}

#[test]
fn values_of_lxc_proc_are_set() {
    let own = Own::start(&[], "lxc.proc.oom_score_adj = 250\nlxc.proc.coredump_filter = 0x7f\n");
    let facts = both(own.place);
    assert_eq!((facts["oom_score_adj"].as_str(), facts["coredump_filter"].as_str()), ("250", "0000007f"));
}

#[test]
fn a_container_without_a_seccomp_profile_has_no_filter() {
    let own = Own::start(&[], "lxc.seccomp.profile =\n");
    assert_eq!(both(own.place)["status/Seccomp"], "0");
}

#[test]
fn capabilities_that_lxc_cap_keep_names_are_all_there_are() {
    let own =
        Own::start(&[], "lxc.cap.drop =\nlxc.cap.keep = sys_admin kill setuid setgid setpcap dac_override\n");
    assert_eq!(both(own.place)["status/CapEff"], "00000000002001e2");
}
