//! The `user` argument: lxc-attach's `-u` and `-g` where it has them, and for names, which it has not, what the
//! container's own `setpriv --init-groups` makes of them.

use crate::differences::compare;
use crate::facts::Facts;
use crate::inside::{probe_by_lxc, probe_by_provost};
use crate::own::Own;
use crate::place::{Place, everywhere};

everywhere!(uid_and_gid_are_what_lxc_attach_makes_of_them);

fn uid_and_gid_are_what_lxc_attach_makes_of_them(place: Place) {
    compare_user(place, "33:33", &["-u", "33", "-g", "33"]);
}

#[test]
fn roots_uid_or_gid_alone_is_what_lxc_attach_makes_of_it() {
    let place = Place::find("v2", 101).expect("there is always a v2 layout");
    compare_user(place, "12345:0", &["-u", "12345", "-g", "0"]);
    compare_user(place, "0:5", &["-u", "0", "-g", "5"]);
}

fn compare_user(place: Place, user: &str, options: &[&str]) {
    let (lxc, provost) = (probe_by_lxc(place, options), probe_by_provost(place, &place.node(), Some(user)));
    compare(&format!("what the command of user {user} sees"), &lxc, &provost);
}

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/bash
worker:x:2000:2001::/srv/work:/usr/sbin/nologin
lonely:x:2002:2002::/nonexistent:/bin/false
+nis
";

const GROUP: &str = "\
root:x:0:
adm:x:4:syslog,worker
worker:x:2001:
unlike:x:2010:worker2,workers,co-worker
last:x:2011:somebody,worker
only:x:2012:worker
lonely:x:2002:
broken:x:x:worker
";

#[test]
fn a_name_has_its_groups_from_the_containers_etc_group() {
    let own = Own::start(&[("etc/passwd", PASSWD), ("etc/group", GROUP)], "");
    let (place, node) = (own.place, own.place.node());
    for (name, user) in [("worker", "worker"), ("lonely", "lonely"), ("worker", "2000"), ("root", "root")] {
        let group = place.by_lxc(&[], &["id", "-g", name]);
        let (uid, gid) = (format!("--reuid={name}"), format!("--regid={}", group.trim()));
        let argv = ["setpriv", &uid, &gid, "--init-groups", "cat", "/proc/self/status"];
        let (theirs, ours) = (place.by_lxc(&[], &argv), place.by_provost(&node, Some(user), &argv[4..]));
        for line in ["Uid:", "Gid:", "Groups:", "CapPrm:", "CapEff:", "CapBnd:", "CapInh:", "CapAmb:"] {
            assert_eq!(line_of(&ours, line), line_of(&theirs, line), "{user}");
        }
    }
}

#[test]
fn a_uid_alone_never_comes_with_roots_group() {
    let place = Place::find("v2", 101).expect("there is always a v2 layout");
    let node = place.node();
    let ids = |user: &str| {
        let facts: Facts = probe_by_provost(place, &node, Some(user));
        (facts["status/Uid"].clone(), facts["status/Gid"].clone())
    };
    // lxc-attach -u alone leaves the command in group 0.
    assert_eq!(probe_by_lxc(place, &["-u", "12345"])["status/Gid"], "0 0 0 0");
    assert_eq!(ids("12345"), ("12345 12345 12345 12345".into(), "12345 12345 12345 12345".into()));
    // 6 is games' uid's neighbour: man, whose group has another number.
    assert_eq!(ids("6"), ("6 6 6 6".into(), "12 12 12 12".into()));
}

fn line_of<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {status}"))
}
