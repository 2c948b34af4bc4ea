//! A whole `diagnose` of a real container, which a simulated cluster says is its own: the script inside, the API's answers and
//! the host's figures, from the call to its answer over an open session. Prints what SPECIFICATION.md promises, and whether it
//! holds.
//!
//! ```sh
//! tests/lab/lab up --only 101 && tests/lab/lab wait 101
//! tests/lab/lab run -- cargo bench --no-default-features --features execd,sim --bench diagnose
//! ```
//!
//! The daemons are not built by that: see tests/bench/exec.rs.

#[allow(dead_code)]
mod asked;
#[allow(dead_code)]
mod daemons;
#[allow(dead_code)]
mod report;
#[allow(dead_code)]
mod rivals;
#[allow(dead_code)]
mod samples;
#[allow(dead_code)]
mod session;
#[allow(dead_code)]
mod site;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use serde_json::Value;

use asked::{Stopped, bench};
use daemons::{AGENT, Builds, Node};
use report::{Promise, promises, table};
use rivals::Container;
use samples::{Samples, ms};
use session::{Call, Session};
use site::Cluster;

const GUEST: u32 = 101;
const GUESTS: u32 = 30;

const HELP: &str = "\
Measures diagnose of the lab's container 101, and prints what SPECIFICATION.md promises.

  --rounds N  rounds of each (default: 100)
  --quick     10 rounds: to see that everything runs
  --strict    exit code 1 if a promise is missed

$PROVOSTD, $PROVOST_EXECD  the daemons (default: the release builds under target/)
$PROVOST_LAB               the lab's directory
";

fn main() -> ExitCode {
    if let Some(ended) = site::be_the_cluster() {
        return ended.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    bench(HELP, [100, 10], |asked| {
        let lab =
            std::env::var_os("PROVOST_LAB").map_or_else(|| "/var/lib/provost-lab".into(), PathBuf::from);
        let builds = Builds::find().map_err(Stopped::cannot)?;
        let container = Container::find(lab.join("v2"), GUEST).map_err(Stopped::cannot)?;
        Ok(measure(builds, &container, asked.rounds)?)
    })
}

fn measure(builds: Builds, container: &Container, rounds: usize) -> io::Result<bool> {
    let cluster = Cluster::with(GUESTS, Some(GUEST))?;
    cluster.belongs_to(AGENT)?;
    let node = Node::with(builds, &container.lxcpath, &cluster.lines());
    let mut session = Session::open(&node.socket())?;
    let calls = [
        ("a whole container", format!("lxc/{GUEST}")),
        ("one unit of it", format!("lxc/{GUEST}/unit/systemd-journald.service")),
        ("a node", "node/pve1".to_owned()),
        ("the cluster", "cluster".to_owned()),
    ];
    let mut rows = Vec::new();
    let mut whole = None;
    for (what, subject) in calls {
        let call = Call::diagnose(&subject);
        looked(session.call(&call)?, &subject)?;
        let mut samples = Samples::default();
        for _ in 0..rounds {
            let began = Instant::now();
            let answer = session.call(&call)?;
            samples.add(began.elapsed());
            looked(answer, &subject)?;
        }
        whole = whole.or(Some(samples.p50()));
        rows.push([what.to_owned(), ms(samples.min()), ms(samples.p50()), ms(samples.p95())]);
    }
    table("diagnose, in ms", ["of", "least", "p50", "p95"], rows);
    let measured = whole.map(|whole| whole.as_secs_f64() * 1000.0);
    Ok(promises(&[Promise::at_most("`diagnose` of a whole container: p50", 150.0, measured).in_unit("ms")]))
}

/// That it looked: an answer that came soon because nothing was there to be read measures nothing.
fn looked(answer: &str, subject: &str) -> io::Result<()> {
    let answer: Value = serde_json::from_str(answer)?;
    let answer = &answer["result"]["structuredContent"];
    let seen = |probe: &str| answer["evidence"][probe].is_string();
    let whole = match subject {
        _ if subject.contains("/unit/") => answer["unit"]["active"] == "active",
        _ if subject.starts_with("lxc/") => {
            ["units", "disks", "processes", "certificates", "memory", "status", "backups"]
                .iter()
                .all(|probe| seen(probe))
        }
        "cluster" => seen("cluster_status") && seen("backups"),
        _ => seen("services") && seen("storages"),
    };
    if whole { Ok(()) } else { Err(io::Error::other(format!("diagnose {subject} did not look: {answer:#}"))) }
}
