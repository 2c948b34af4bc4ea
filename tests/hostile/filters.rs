//! A container whose processes are under a filter that its configuration does not name.

use serde_json::json;

use crate::common::{Node, eventually};
use crate::guest::Recipe;

/// A filter that allows everything: what is in it cannot be seen from outside.
const FILTERED: &str = r#"#!/usr/bin/perl
    my $allow = pack 'S C C L', 0x06, 0, 0, 0x7fff0000;
    my $program = pack 'S x![Q] P', 1, $allow;
    syscall(157, 38, 1, 0, 0, 0) == 0 or die "no_new_privs: $!";
    syscall(317, 1, 0, $program) == 0 or die "seccomp: $!";
    open my $ready, '>', '/ready';
    close $ready;
    sleep 1000 while 1;
"#;

#[test]
fn a_filter_that_the_monitor_does_not_name_is_not_left_out() {
    let node = Node::start();
    let mut client = node.client();
    for (init, kind) in [(Some(FILTERED), json!("seccomp_profile")), (None, json!(null))] {
        let recipe = Recipe::new().setting("lxc.seccomp.profile =");
        let guest = init.into_iter().fold(recipe, Recipe::init).start();
        eventually("its init has done what it does", || init.is_none() || guest.path("/ready").exists());
        let call = json!({ "guest": guest.id, "argv": ["/bin/true"], "mode": "change" });
        let answer = client.call("exec", call)["structuredContent"].clone();
        assert_eq!(answer["error"]["kind"], kind, "{answer}");
    }
}
