//! What the host sees of a command.

use crate::differences::{compare, passed_over};
use crate::facts::on_host;
use crate::place::{Place, Sleeper, everywhere};

everywhere!(the_host_sees_of_a_command_what_it_sees_of_lxc_attachs);

fn the_host_sees_of_a_command_what_it_sees_of_lxc_attachs(place: Place) {
    let node = place.node();
    let (lxc, provost) = (Sleeper::by_lxc(place), Sleeper::by_provost(place, &node));
    compare("what the host sees", &on_host(lxc.pid, &passed_over()), &on_host(provost.pid, &passed_over()));
}
