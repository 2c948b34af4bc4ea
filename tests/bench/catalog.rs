//! What the catalogue costs: read from a node's file, read from what was kept of it, read from what is built in, and
//! asked.
//!
//! ```sh
//! PROVOST_APIDOC=/usr/share/pve-docs/api-viewer/apidoc.js cargo bench --bench catalog
//! ```
//!
//! Without the file, or `$PROVOST_APIDOC_DIR` with an `apidoc-9.1.js.gz`, one is made of what is built in, without prose
//! but indented as wide; it says so. `--strict` makes a missed promise the exit code. On a busy machine the least is what
//! counts, or a run under `chrt --fifo 50`.

mod apidoc;
#[allow(dead_code)]
mod report;

use std::env;
use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use provost::catalog::find::Finder;
use provost::catalog::{Cache, Catalog, Method, Origin, Release, Source};
use report::{Promise, promises, table};
use serde_json::json;

const ROUNDS: usize = 60;

/// What people type.
const QUERIES: &str = include_str!("../../src/catalog/find/tests/queries.txt");

fn main() -> ExitCode {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("apidoc.js");
    println!("apidoc.js: {}", apidoc::write(&file).expect("the file's copy"));

    let cache = Cache::new(directory.path());
    let cold = quantiles(|| open(&file, None, Origin::Node));
    open(&file, Some(cache.clone()), Origin::Node);
    let cached = quantiles(|| open(&file, Some(cache.clone()), Origin::Cache));
    let embedded = quantiles(|| Catalog::embedded(Release::LATEST));
    let catalog = Catalog::embedded(Release::LATEST);
    let words = quantiles(|| Finder::new(&catalog));
    let finder = Finder::new(&catalog);
    let queries: Vec<&str> =
        QUERIES.lines().filter_map(|line| Some(line.split_once('|')?.0.trim())).collect();
    // All of them in each round: one is easier than another.
    let searched =
        quantiles(|| queries.iter().map(|words| finder.search(&catalog, words).len()).sum::<usize>());
    let query = searched.map(|all| all / queries.len() as u32);
    let [find, check, unknown] = asked(&Catalog::embedded(Release::LATEST));

    let row = |what: &str, [least, middle, most]: [Duration; 3]| {
        [what.to_owned(), milliseconds(least), milliseconds(middle), milliseconds(most)]
    };
    table(
        "The catalogue, in ms",
        ["", "least", "p50", "p95"],
        vec![
            row("from the node's file", cold),
            row("from what was kept of it", cached),
            row("built in", embedded),
            row("the index of its words", words),
            row("one search in it, on average", query),
        ],
    );
    table(
        "Asked, a second",
        ["", "times"],
        vec![
            ["paths matched".to_owned(), format!("{find:.0}")],
            ["configurations checked and rendered".to_owned(), format!("{check:.0}")],
            ["unknown paths answered".to_owned(), format!("{unknown:.0}")],
        ],
    );
    let kept = promises(&[
        Promise::at_most("catalogue from the node's file: p50", 60.0, Some(ms(cold[1]))).in_unit("ms"),
        Promise::at_most("catalogue from what was kept: p50", 3.0, Some(ms(cached[1]))).in_unit("ms"),
        Promise::at_most("catalogue that is built in: p50", 60.0, Some(ms(embedded[1]))).in_unit("ms"),
        Promise::at_most("the index of its words: p50", 20.0, Some(ms(words[1]))).in_unit("ms"),
        Promise::at_most("a search by words: p50", 2.0, Some(ms(query[1]))).in_unit("ms"),
    ]);
    if env::args().any(|argument| argument == "--strict") && !kept {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn open(file: &Path, cache: Option<Cache>, from: Origin) -> Source {
    let source = Source::open(file, cache, Release::V8_4);
    assert_eq!(source.current().origin, from);
    source
}

/// The least, the middle, and what 95 of 100 do not exceed.
fn quantiles<T>(run: impl Fn() -> T) -> [Duration; 3] {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let made = black_box(run());
            let time = start.elapsed();
            drop(made);
            time
        })
        .collect();
    times.sort();
    [times[0], times[ROUNDS / 2], times[ROUNDS * 95 / 100]]
}

/// How often in a second a path is matched, a configuration checked, and a path that is none answered.
fn asked(catalog: &Catalog) -> [f64; 3] {
    let args = json!({
        "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=5,firewall=1",
        "scsi0": {"file": "local-lvm:32", "discard": "on", "iothread": true},
        "memory": 4096, "cores": "4", "onboot": true, "tags": "web;prod", "delete": ["net1", "net2"],
    });
    let args = args.as_object().expect("an object");
    let config = "/nodes/pve1/qemu/105/config";
    [
        rate(|| catalog.endpoint(Method::Put, config).is_ok()),
        rate(|| catalog.endpoint(Method::Put, config).is_ok_and(|found| found.check(args).is_ok())),
        rate(|| catalog.endpoint(Method::Get, "/nodes/pve1/qmeu/105/confg").is_err()),
    ]
}

fn rate(run: impl Fn() -> bool) -> f64 {
    let start = Instant::now();
    let mut times = 0;
    while start.elapsed() < Duration::from_millis(500) {
        assert!(black_box(run()));
        times += 1;
    }
    f64::from(times) / start.elapsed().as_secs_f64()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2}", ms(time))
}
