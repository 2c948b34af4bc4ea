//! What `provost connect` adds to a call over the socket that it goes to: the same call made directly and through it, in turn.
//! Prints the numbers that SPECIFICATION.md promises, and whether they hold.
//!
//! ```sh
//! cargo bench --no-default-features --features sim --bench connect -- --help
//! ```
//!
//! `provostd` and `provost` are not built by that: they are `$PROVOSTD` and `$PROVOST_BIN`, or the release builds under target/.

mod apidoc;
#[allow(dead_code)]
mod asked;
#[allow(dead_code)]
mod report;
#[allow(dead_code)]
mod samples;
#[allow(dead_code)]
mod session;
#[allow(dead_code)]
mod site;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use asked::{Stopped, bench};
use report::{Promise, promises, table};
use samples::{Samples, ms};
use serde_json::json;
use session::{Call, Session, succeeded_read};
use site::{Agent, Cluster};

const HELP: &str = "\
Measures calls through provost connect against the same calls over the socket, and prints what SPECIFICATION.md promises.

  --rounds N  rounds of the comparison (default: 3000)
  --quick     100 rounds: to see that everything runs
  --strict    exit code 1 if a promise is missed

$PROVOSTD     the daemon (default: the release build under target/)
$PROVOST_BIN  provost (the same)
";

const GUESTS: u32 = 100;

/// What is asked, by name: a host alone; by its node, among three; and by its guest.
const ASKED: [(&str, &str, &[&str]); 3] = [
    ("one host, `/version`", "/version", &["a"]),
    ("three hosts, by the node", "/nodes/pve1/version", &["a", "b", "c"]),
    ("three hosts, by the guest", "/nodes/pve1/qemu/102/config", &["a", "b", "c"]),
];

fn main() -> ExitCode {
    if let Some(ended) = site::be_the_cluster() {
        return ended.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    bench(HELP, [3000, 100], |asked| {
        let provostd = site::provostd().map_err(Stopped::cannot)?;
        let provost = provost().map_err(Stopped::cannot)?;
        Ok(run(&provostd, &provost, asked.rounds)?)
    })
}

fn provost() -> Result<PathBuf, String> {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/release/provost");
    let path = std::env::var_os("PROVOST_BIN").map_or_else(built, PathBuf::from);
    match path.exists() {
        true => Ok(path),
        false => {
            Err(format!("{} is not there: build it, or say in $PROVOST_BIN where it is", path.display()))
        }
    }
}

/// `provost connect`, and the client's end of it.
struct Through {
    process: Child,
    session: Session,
}

impl Through {
    fn to(provost: &Path, hosts: &[String]) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let (input, output) = (OwnedFd::from(theirs.try_clone()?), OwnedFd::from(theirs));
        let process = Command::new(provost)
            .arg("connect")
            .args(hosts)
            .stdin(Stdio::from(input))
            .stdout(Stdio::from(output))
            .spawn()?;
        Ok(Self { process, session: Session::over(ours)? })
    }
}

impl Drop for Through {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(provostd: &Path, provost: &Path, rounds: usize) -> io::Result<bool> {
    let directory = tempfile::tempdir()?;
    let apidoc = directory.path().join("apidoc.js");
    println!("The catalogue is of: {}", apidoc::write(&apidoc)?);
    // The others have nodes and guests of the same names, so that the first alone is asked by name: what counts is the way.
    let cluster = Cluster::start(GUESTS)?;
    let agent = Agent::start(provostd, &cluster, &apidoc)?;
    let mut direct = agent.session()?;
    let (mut rows, mut kept) = (Vec::new(), Vec::new());
    for (what, path, names) in ASKED {
        // One daemon under three names would be three of one node; the others are not there, and hold nobody.
        let hosts: Vec<String> = names
            .iter()
            .map(|name| match *name {
                "a" => format!("a={}", agent.socket().display()),
                gone => format!("{gone}={}", directory.path().join(gone).display()),
            })
            .collect();
        let mut through = Through::to(provost, &hosts)?;
        let call = Call::read(&json!({ "path": path }));
        let mut samples: [Samples; 2] = Default::default();
        for round in 0..=rounds {
            for (session, samples) in [&mut direct, &mut through.session].into_iter().zip(&mut samples) {
                let began = Instant::now();
                let answer = session.call(&call)?;
                let took = began.elapsed();
                succeeded_read(answer)?;
                // The first one connects, reads the catalogue and finds out what is where.
                if round > 0 {
                    samples.add(took);
                }
            }
        }
        let added = (samples[1].p50().as_secs_f64() - samples[0].p50().as_secs_f64()) * 1000.0;
        for (way, samples, added) in [
            ("directly", &samples[0], String::new()),
            ("through connect", &samples[1], format!("{added:.3}")),
        ] {
            let [p50, p95, p99] = [samples.p50(), samples.p95(), samples.p99()].map(ms);
            rows.push([format!("{what}, {way}"), p50, p95, p99, added]);
        }
        kept.push(Promise::at_most(what, 0.3, Some(added)).in_unit("ms"));
    }
    table(&format!("One read, of {rounds}"), ["ms", "p50", "p95", "p99", "added at p50"], rows);
    Ok(promises(&kept))
}
