//! What `exec` costs, against other ways into a container, and what the daemons cost while they wait. Prints the
//! numbers that SPECIFICATION.md promises, and whether they hold.
//!
//! ```sh
//! tests/lab/lab up --only 101 && tests/lab/lab wait 101
//! tests/lab/lab run -- cargo bench --no-default-features --features execd --bench exec -- --help
//! ```
//!
//! The daemons are not built by that: they are `$PROVOSTD` and `$PROVOST_EXECD`, or the release builds under target/.
//! (With the features above cargo does not put another `provostd` in their place.)

#[allow(dead_code)]
mod asked;
mod daemons;
mod many;
#[allow(dead_code)]
mod memory;
mod one;
mod report;
mod rest;
mod rivals;
#[allow(dead_code)]
mod samples;
#[allow(dead_code)]
mod session;
mod start;
mod volume;

use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

use asked::{Asked, Stopped, bench};
use daemons::{Builds, Node};
use report::promises;
use rest::Rest;
use rivals::{Container, Sshd};
use session::{Call, Session};

const HELP: &str = "\
Measures exec against lxc-attach, nsenter and ssh in the lab's container 101, and prints what SPECIFICATION.md promises.

  --rounds N  rounds of the comparison of single calls (default: 1000)
  --quick     30 rounds, no ssh, little of the rest: to see that everything runs
  --strict    exit code 1 if a promise is missed or could not be measured
  --realtime  every way in and both daemons ahead of whatever else the machine does (by chrt): for a busy machine

$PROVOSTD, $PROVOST_EXECD  the daemons (default: the release builds under target/)
$PROVOST_LAB               the lab's directory
";

/// Set for the run that chrt has started.
const REALTIME: &str = "PROVOST_BENCH_REALTIME";

fn main() -> ExitCode {
    bench(HELP, [1000, 30], |asked| {
        if asked.realtime && std::env::var_os(REALTIME).is_none() {
            return Err(Stopped::cannot(format!("cannot run chrt: {}", again_in_realtime())));
        }
        let (builds, container) = surroundings().map_err(Stopped::cannot)?;
        Ok(run(asked, builds, &container)?)
    })
}

/// This program again, under a scheduler that lets nothing else go first. Whatever it starts inherits that.
fn again_in_realtime() -> io::Error {
    match std::env::current_exe() {
        Ok(this) => {
            let mut chrt = Command::new("chrt");
            chrt.args(["--rr", "1"]).arg(this).args(std::env::args_os().skip(1)).env(REALTIME, "1").exec()
        }
        Err(error) => error,
    }
}

/// The builds and the container, on cgroup v2 alone as on a PVE node.
fn surroundings() -> Result<(Builds, Container), String> {
    let cgroup = statfs("/sys/fs/cgroup").map(|found| found.filesystem_type());
    if cgroup != Ok(CGROUP2_SUPER_MAGIC) {
        return Err("/sys/fs/cgroup is not cgroup v2 alone; run this by tests/lab/lab run -- …".into());
    }
    let lab = std::env::var_os("PROVOST_LAB").map_or_else(|| "/var/lib/provost-lab".into(), PathBuf::from);
    Ok((Builds::find()?, Container::find(lab.join("v2"), 101)?))
}

fn run(asked: &Asked, builds: Builds, container: &Container) -> io::Result<bool> {
    let sshd = match asked.quick {
        true => None,
        false => Sshd::start().inspect_err(|error| eprintln!("bench: no ssh: {error}")).ok(),
    };
    let [starts, bursts, flows] = if asked.quick { [5, 1, 1] } else { [20, 10, 10] };
    let mut node = Node::start(builds, &container.lxcpath);

    let starts = start::measure(&mut node, starts)?;
    let at_start = Rest::now("after the start", &node);
    let one = one::measure(&node, container, sshd.as_ref(), asked.rounds)?;
    let after_calls = Rest::now("after those calls", &node);
    let many = many::measure(&node, container, bursts)?;
    let after_sessions = Rest::now("after 100 sessions at once", &node);
    let volume = volume::measure(&node, container, flows)?;
    // The daemons that were measured must still be there, and answer.
    Session::open(&node.socket())?.call(&Call::status())?;

    let mut kept = one.report();
    kept.extend(many.report());
    kept.extend(volume.report());
    kept.extend(rest::report([at_start, after_calls, after_sessions]));
    kept.extend(start::report(&starts));
    Ok(promises(&kept))
}
