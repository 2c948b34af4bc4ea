//! What `exec` costs, against other ways into a container, and what the daemons cost while they wait. Prints the
//! numbers that SPECIFICATION.md promises, and whether they hold.
//!
//! ```sh
//! tests/lab/lab up --only 101 && tests/lab/lab wait 101
//! tests/lab/lab run -- cargo bench --no-default-features --features execd --bench exec -- [--quick] [--rounds N] [--strict]
//! ```
//!
//! The daemons are not built by that: they are `$PROVOSTD` and `$PROVOST_EXECD`, or the release builds under target/.
//! (With the features above cargo does not put another `provostd` in their place.)

mod daemons;
mod many;
mod memory;
mod one;
mod report;
mod rivals;
mod samples;
mod session;
mod start;
mod volume;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

use daemons::{Builds, Node};
use memory::{mib, resident};
use report::{Promise, promises, table};
use rivals::{Container, Sshd};
use samples::{Samples, ms, ratio};
use session::{Call, Session};

const HELP: &str = "\
Measures exec against lxc-attach, nsenter and ssh in the lab's container 101, and prints what SPECIFICATION.md promises.

  --rounds N  rounds of the comparison of single calls (default: 1000)
  --quick     30 rounds, no ssh, little of the rest: to see that everything runs
  --strict    exit code 1 if a promise is missed or could not be measured

$PROVOSTD, $PROVOST_EXECD  the daemons (default: the release builds under target/)
$PROVOST_LAB               the lab's directory
";

/// The exit code by which test runners know "skipped".
const CANNOT: u8 = 77;

struct Options {
    rounds: usize,
    quick: bool,
    strict: bool,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("bench: {error}");
            return ExitCode::from(2);
        }
    };
    let (builds, container) = match surroundings() {
        Ok(found) => found,
        Err(error) => {
            eprintln!("bench: {error}");
            return ExitCode::from(CANNOT);
        }
    };
    match run(&options, builds, &container) {
        Ok(kept) if kept || !options.strict => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Option<Options>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut options = Options { rounds: 1000, quick: false, strict: false };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("rounds") => {
                options.rounds = arguments.value()?.parse_with(|text| match text.parse() {
                    Ok(0) | Err(_) => Err("not a number of rounds"),
                    Ok(rounds) => Ok(rounds),
                })?
            }
            Long("quick") => (options.quick, options.rounds) = (true, 30),
            Long("strict") => options.strict = true,
            // cargo's own.
            Long("bench") => {}
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
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

fn run(options: &Options, builds: Builds, container: &Container) -> io::Result<bool> {
    let sshd = match options.quick {
        true => None,
        false => Sshd::start().inspect_err(|error| eprintln!("bench: no ssh: {error}")).ok(),
    };
    let mut node = Node::start(builds, &container.lxcpath);
    let mut kept = Vec::new();

    let starts = start::measure(&mut node, if options.quick { 5 } else { 20 })?;
    let fresh = (resident(node.provostd()), resident(node.execd()));
    let one = one::measure(&node, container, sshd.as_ref(), options.rounds)?;
    single(&one, &mut kept);
    let many = many::measure(&node, container, if options.quick { 1 } else { 10 })?;
    at_once(&many, &mut kept);
    let used = (resident(node.provostd()), resident(node.execd()));
    let volume = volume::measure(&node, container, if options.quick { 1 } else { 5 })?;
    output(&volume, &mut kept);
    at_rest(&starts, fresh, used, &mut kept);
    // The daemons that were measured must still be there, and answer.
    Session::open(&node.socket())?.call(&Call::status())?;
    Ok(promises(&kept))
}

fn single(times: &one::Times, kept: &mut Vec<Promise>) {
    let row = |name: &str, samples: &Samples| {
        let against = |rival: &Samples| match samples.is_empty() || rival.is_empty() {
            true => "-".to_owned(),
            false => format!("{:.3}", ratio(samples.p50(), rival.p50())),
        };
        let [p50, p95, min] = [samples.p50(), samples.p95(), samples.min()].map(ms);
        let [attach, nsenter, ssh] = [&times.lxc_attach, &times.nsenter, &times.ssh].map(against);
        [name.to_owned(), samples.len().to_string(), p50, p95, min, attach, nsenter, ssh]
    };
    let mut rows = vec![
        row("exec, change", &times.change),
        row("exec, inspect", &times.inspect),
        row("nsenter -a", &times.nsenter),
        row("lxc-attach", &times.lxc_attach),
        row("the way: MCP ping", &times.ping),
        row("the way: provost-execd alone, change", &times.execd_change),
        row("the way: provost-execd alone, inspect", &times.execd_inspect),
        row("the way: fork and exec on the node", &times.bare),
    ];
    if !times.ssh.is_empty() {
        rows.insert(4, row("ssh to loopback + lxc-attach", &times.ssh));
    }
    let head = ["/bin/true, ms", "calls", "p50", "p95", "min", "÷ lxc-attach", "÷ nsenter", "÷ ssh"];
    table("One call at a time", head, rows);

    let against =
        |samples: &Samples, rival: &Samples| (!rival.is_empty()).then(|| ratio(samples.p50(), rival.p50()));
    kept.extend([
        Promise::at_most(
            "exec, change: p50 of lxc-attach's",
            0.25,
            "",
            against(&times.change, &times.lxc_attach),
        ),
        Promise::at_most(
            "exec, inspect: p50 of lxc-attach's",
            0.25,
            "",
            against(&times.inspect, &times.lxc_attach),
        ),
        Promise::at_most("exec, change: p50 of nsenter's", 0.75, "", against(&times.change, &times.nsenter)),
        Promise::at_most(
            "exec, inspect: p50 of nsenter's",
            0.75,
            "",
            against(&times.inspect, &times.nsenter),
        ),
        Promise::at_most("exec, change: p50 of a fresh ssh's", 0.01, "", against(&times.change, &times.ssh)),
        Promise::at_most(
            "exec, inspect: p50 of a fresh ssh's",
            0.01,
            "",
            against(&times.inspect, &times.ssh),
        ),
    ]);
}

fn at_once(times: &many::Times, kept: &mut Vec<Promise>) {
    let row = |name: &str, bursts: &many::Bursts| {
        let [p50, p95, whole] = [bursts.each.p50(), bursts.each.p95(), bursts.whole.p50()].map(ms);
        [name.to_owned(), whole, format!("{:.0}", bursts.per_second()), p50, p95, bursts.failures.to_string()]
    };
    let head = ["100 calls, ms", "all of them", "calls/s", "p50 of each", "p95 of each", "failures"];
    let rows = vec![
        row("exec, at once over one session", &times.one_session),
        row("exec, at once over 100 sessions", &times.many_sessions),
        row("exec, one after another", &times.in_a_row),
        row("lxc-attach, at once", &times.lxc_attach),
    ];
    table("100 calls", head, rows);

    let failures = times.one_session.failures + times.many_sessions.failures;
    let against = |bursts: &many::Bursts| Some(ratio(bursts.whole.p50(), times.lxc_attach.whole.p50()));
    kept.extend([
        Promise::at_most("100 calls at once: failures", 0.0, "", Some(failures as f64)),
        Promise::at_most(
            "100 at once over one session: time of lxc-attach's",
            0.25,
            "",
            against(&times.one_session),
        ),
        Promise::at_most(
            "100 at once over 100 sessions: time of lxc-attach's",
            0.25,
            "",
            against(&times.many_sessions),
        ),
    ]);
}

fn output(times: &volume::Times, kept: &mut Vec<Promise>) {
    let rows = times.flows.iter().map(|flow| {
        let speeds = [&flow.bare, &flow.lxc_attach, &flow.change, &flow.inspect];
        let [bare, attach, change, inspect] = speeds.map(|samples| format!("{:.0}", volume::speed(samples)));
        [format!("{}: `{}`", flow.what, flow.script.replace('|', "\\|")), bare, attach, change, inspect]
    });
    let head = ["100 MB of output, MB/s", "a bare pipe", "lxc-attach", "exec, change", "exec, inspect"];
    table("Output", head, rows.collect());
    let row = |name: &str, held: &volume::Held| {
        [name.to_owned(), mib(held.before), mib(held.during), mib(held.after), mib(held.growth())]
    };
    let head = ["resident MiB, the call that grew most", "before", "at most during", "after", "growth"];
    table(
        "Memory while 100 MB go by",
        head,
        vec![row("provostd", &times.provostd), row("provost-execd", &times.execd)],
    );

    let slowest = |samples: fn(&volume::Flow) -> &Samples| {
        times.flows.iter().map(|flow| ratio(flow.bare.p50(), samples(flow).p50())).reduce(f64::min)
    };
    kept.extend([
        Promise::at_least("100 MB, change: speed of a bare pipe's", 0.8, "", slowest(|flow| &flow.change)),
        Promise::at_least("100 MB, inspect: speed of a bare pipe's", 0.8, "", slowest(|flow| &flow.inspect)),
        Promise::at_most(
            "100 MB: provostd grows by",
            1.0,
            "MiB",
            Some(times.provostd.growth() as f64 / 1024.0),
        ),
        Promise::at_most(
            "100 MB: provost-execd grows by",
            0.125,
            "MiB",
            Some(times.execd.growth() as f64 / 1024.0),
        ),
    ]);
}

fn at_rest(starts: &Samples, fresh: (u64, u64), used: (u64, u64), kept: &mut Vec<Promise>) {
    let head = ["resident MiB at rest", "after the start", "after all calls of this run"];
    let rows = vec![
        ["provostd".to_owned(), mib(fresh.0), mib(used.0)],
        ["provost-execd".to_owned(), mib(fresh.1), mib(used.1)],
    ];
    table("Memory at rest", head, rows);
    let [p50, p95, min] = [starts.p50(), starts.p95(), starts.min()].map(ms);
    let head = ["ms", "starts", "p50", "p95", "min"];
    table(
        "Start",
        head,
        vec![["provostd, to its first answer".into(), starts.len().to_string(), p50, p95, min]],
    );

    let of = |kib: u64| Some(kib as f64 / 1024.0);
    kept.extend([
        Promise::at_most("provostd at rest", 10.0, "MiB", of(fresh.0)),
        Promise::at_most("provostd at rest, once 100 sessions have come and gone", 16.0, "MiB", of(used.0)),
        Promise::at_most("provost-execd at rest", 2.0, "MiB", of(fresh.1.max(used.1))),
        Promise::at_most(
            "provostd, start to first answer: p50",
            15.0,
            "ms",
            Some(starts.p50().as_secs_f64() * 1000.0),
        ),
    ]);
}
