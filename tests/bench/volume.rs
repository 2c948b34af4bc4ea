//! A lot of output: how fast it flows, and what the daemons hold meanwhile.

use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::time::Instant;

use provost::exec::wire::Mode;
use serde_json::Value;

use crate::daemons::Node;
use crate::memory::{self, mib};
use crate::report::{Promise, table};
use crate::rivals::Container;
use crate::samples::{Samples, ratio};
use crate::session::{Call, Session};

const BYTES: u64 = 100 << 20;

/// Output of one kind, through each way.
pub struct Flow {
    pub what: &'static str,
    pub script: &'static str,
    /// A pipe and nothing else, on the node itself.
    pub bare: Samples,
    pub lxc_attach: Samples,
    pub change: Samples,
    pub inspect: Samples,
}

/// KiB that a daemon held: before a call, at most during it, and after. The most of any call.
#[derive(Default, Clone, Copy)]
pub struct Held {
    pub before: u64,
    pub during: u64,
    pub after: u64,
}

impl Held {
    fn growth(&self) -> u64 {
        self.during.saturating_sub(self.before)
    }

    fn row(&self, name: &str) -> [String; 5] {
        [name.to_owned(), mib(self.before), mib(self.during), mib(self.after), mib(self.growth())]
    }
}

pub struct Times {
    pub flows: Vec<Flow>,
    pub provostd: Held,
    pub execd: Held,
}

pub fn measure(node: &Node, container: &Container, rounds: usize) -> io::Result<Times> {
    let mut session = Session::open(&node.socket())?;
    let mut flows = vec![
        flow("zeros", "head -c 100M /dev/zero"),
        flow("lines of text", "yes 'a line of output' | head -c 100M"),
    ];
    let (mut provostd, mut execd) = (Held::default(), Held::default());
    for _ in 0..rounds {
        for flow in &mut flows {
            let argv = ["/bin/sh", "-c", flow.script];
            let mut bare = Command::new(argv[0]);
            bare.args(&argv[1..]);
            flow.bare.add(drained(&mut bare)?);
            flow.lxc_attach.add(drained(&mut container.lxc_attach(&argv))?);
            for (mode, samples) in [(Mode::Change, &mut flow.change), (Mode::Inspect, &mut flow.inspect)] {
                let call = Call::exec(container.guest, mode, &argv);
                let daemons = [(node.provostd(), &mut provostd), (node.execd(), &mut execd)];
                let before = daemons.each_ref().map(|(pid, _)| memory::resident(*pid));
                daemons.iter().for_each(|(pid, _)| memory::forget_peak(*pid));
                let began = Instant::now();
                let answer = session.call(&call)?;
                samples.add(began.elapsed());
                check(answer)?;
                for ((pid, held), before) in daemons.into_iter().zip(before) {
                    let now = Held { before, during: memory::peak(pid), after: memory::resident(pid) };
                    if now.growth() >= held.growth() {
                        *held = now;
                    }
                }
            }
        }
    }
    Ok(Times { flows, provostd, execd })
}

impl Times {
    pub fn report(&self) -> Vec<Promise> {
        let head = ["100 MB of output, MB/s", "a bare pipe", "lxc-attach", "exec, change", "exec, inspect"];
        table("Output", head, self.flows.iter().map(Flow::row).collect());
        let head = ["resident MiB, the call that grew most", "before", "at most during", "after", "growth"];
        let rows = vec![self.provostd.row("provostd"), self.execd.row("provost-execd")];
        table("Memory while 100 MB go by", head, rows);

        let slowest = |samples: fn(&Flow) -> &Samples| {
            self.flows.iter().map(|flow| ratio(flow.bare.p50(), samples(flow).p50())).reduce(f64::min)
        };
        let grows = |held: &Held| Some(held.growth() as f64 / 1024.0);
        vec![
            Promise::at_least("100 MB, change: speed of a bare pipe's", 0.8, slowest(|flow| &flow.change)),
            Promise::at_least("100 MB, inspect: speed of a bare pipe's", 0.8, slowest(|flow| &flow.inspect)),
            Promise::at_most("100 MB: provostd grows by", 1.0, grows(&self.provostd)).in_unit("MiB"),
            Promise::at_most("100 MB: provost-execd grows by", 0.125, grows(&self.execd)).in_unit("MiB"),
        ]
    }
}

impl Flow {
    fn row(&self) -> [String; 5] {
        let speeds = [&self.bare, &self.lxc_attach, &self.change, &self.inspect];
        let [bare, attach, change, inspect] = speeds.map(|samples| format!("{:.0}", speed(samples)));
        [format!("{}: `{}`", self.what, self.script.replace('|', "\\|")), bare, attach, change, inspect]
    }
}

fn flow(what: &'static str, script: &'static str) -> Flow {
    let [bare, lxc_attach, change, inspect] = std::array::from_fn(|_| Samples::default());
    Flow { what, script, bare, lxc_attach, change, inspect }
}

/// MB a second, at the median.
fn speed(samples: &Samples) -> f64 {
    BYTES as f64 / 1e6 / samples.p50().as_secs_f64()
}

fn check(answer: &str) -> io::Result<()> {
    let answer: Value = serde_json::from_str(answer)?;
    let came = answer["result"]["structuredContent"]["stdout_bytes"].as_u64();
    if came == Some(BYTES) { Ok(()) } else { Err(io::Error::other(format!("{came:?} bytes came"))) }
}

fn drained(command: &mut Command) -> io::Result<std::time::Duration> {
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut chunk = vec![0; 64 * 1024];
    let mut came = 0;
    loop {
        match stdout.read(&mut chunk)? {
            0 => break,
            length => came += length as u64,
        }
    }
    child.wait()?;
    let took = began.elapsed();
    if came == BYTES { Ok(took) } else { Err(io::Error::other(format!("{command:?}: {came} bytes came"))) }
}
