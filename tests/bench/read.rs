//! What `read` costs over the same GET made directly, what a list of ten thousand guests costs over its transfer, and
//! what `provostd` holds: at rest, with the catalogue, with a thousand sessions. Prints the numbers that
//! SPECIFICATION.md promises, and whether they hold.
//!
//! ```sh
//! cargo bench --no-default-features --features sim --bench read -- --help
//! ```
//!
//! `provostd` is not built by that: it is `$PROVOSTD`, or the release build under target/. (With the features above cargo
//! does not put another one in its place.) The cluster is simulated, by this program again.

mod apidoc;
#[allow(dead_code)]
mod asked;
#[allow(dead_code)]
mod bare;
mod large;
#[allow(dead_code)]
mod memory;
mod overhead;
#[allow(dead_code)]
mod report;
#[allow(dead_code)]
mod samples;
#[allow(dead_code)]
mod session;
mod sessions;
#[allow(dead_code)]
mod site;
mod still;

use std::io;
use std::path::Path;
use std::process::ExitCode;

use asked::{Asked, Stopped, bench};
use report::promises;
use site::Cluster;

const HELP: &str = "\
Measures read against the same GETs made directly, beside a simulated cluster, and prints what SPECIFICATION.md promises.

  --rounds N  rounds of the comparison of single reads (default: 3000)
  --quick     100 rounds and 100 sessions: to see that everything runs
  --only PART still, overhead, large or sessions: the others are left out
  --strict    exit code 1 if a promise is missed

$PROVOSTD            the daemon (default: the release build under target/)
$PROVOST_APIDOC      a node's apidoc.js, for what its catalogue takes; or
$PROVOST_APIDOC_DIR  a directory with an apidoc-9.1.js.gz
";

fn main() -> ExitCode {
    if let Some(ended) = site::be_the_cluster() {
        return ended.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    bench(HELP, [3000, 100], |asked| {
        let provostd = site::provostd().map_err(Stopped::cannot)?;
        Ok(run(asked, &provostd)?)
    })
}

fn run(asked: &Asked, provostd: &Path) -> io::Result<bool> {
    let directory = tempfile::tempdir()?;
    let apidoc = directory.path().join("apidoc.js");
    println!("The catalogue is of: {}", apidoc::write(&apidoc)?);
    let cluster = Cluster::start(large::GUESTS)?;

    let has = |part: &str| asked.only.as_deref().is_none_or(|only| only == part);
    let mut kept = Vec::new();
    if has("still") {
        kept.extend(still::measure(provostd, &cluster, &apidoc)?.report());
    }
    if has("overhead") {
        kept.extend(overhead::measure(provostd, &cluster, &apidoc, asked.rounds)?.report());
    }
    if has("large") {
        let anew = Cluster::making_lists(large::GUESTS)?;
        kept.extend(large::measure(provostd, &anew, &apidoc, asked.rounds.div_ceil(100))?.report());
        drop(anew);
        large::measure(provostd, &cluster, &apidoc, asked.rounds.div_ceil(10))?.print(", from memory");
    }
    if has("sessions") {
        kept.extend(
            sessions::measure(provostd, &cluster, &apidoc, if asked.quick { 100 } else { 1000 })?.report(),
        );
    }
    Ok(promises(&kept))
}
