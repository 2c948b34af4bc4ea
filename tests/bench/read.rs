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

struct Options {
    rounds: usize,
    sessions: usize,
    strict: bool,
    only: Option<String>,
}

/// The exit code by which test runners know "skipped".
const CANNOT: u8 = 77;

fn main() -> ExitCode {
    if let Some(ended) = site::be_the_cluster() {
        return ended.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
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
    let provostd = match site::provostd() {
        Ok(provostd) => provostd,
        Err(error) => {
            eprintln!("bench: {error}");
            return ExitCode::from(CANNOT);
        }
    };
    match run(&options, &provostd) {
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
    let mut options = Options { rounds: 3000, sessions: 1000, strict: false, only: None };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("rounds") => {
                options.rounds = arguments.value()?.parse_with(|text| match text.parse() {
                    Ok(0) | Err(_) => Err("not a number of rounds"),
                    Ok(rounds) => Ok(rounds),
                })?
            }
            Long("quick") => (options.rounds, options.sessions) = (100, 100),
            Long("strict") => options.strict = true,
            Long("only") => options.only = Some(arguments.value()?.parse()?),
            // cargo's own, and one of `exec`'s: `make bench` gives all of them the same.
            Long("bench" | "realtime") => {}
            Long("help") | Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(options))
}

fn run(options: &Options, provostd: &Path) -> io::Result<bool> {
    let directory = tempfile::tempdir()?;
    let apidoc = directory.path().join("apidoc.js");
    println!("The catalogue is of: {}", apidoc::write(&apidoc)?);
    let cluster = Cluster::start(large::GUESTS)?;

    let has = |part: &str| options.only.as_deref().is_none_or(|only| only == part);
    let mut kept = Vec::new();
    if has("still") {
        kept.extend(still::measure(provostd, &cluster, &apidoc)?.report());
    }
    if has("overhead") {
        kept.extend(overhead::measure(provostd, &cluster, &apidoc, options.rounds)?.report());
    }
    if has("large") {
        kept.extend(large::measure(provostd, &cluster, &apidoc, options.rounds.div_ceil(10))?.report());
    }
    if has("sessions") {
        kept.extend(sessions::measure(provostd, &cluster, &apidoc, options.sessions)?.report());
    }
    Ok(promises(&kept))
}
