//! Runs a worker's [`Work`] in time: each line after its seconds, divided by the simulation's speed.
//!
//! Where the speed is endless a worker has ended before its UPID is answered, and tests need not wait.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::estate::{Estate, now};
use super::fault::Fault;
use super::task::{Upid, Work};

/// What is left of a work that was begun.
struct Begun {
    upid: String,
    work: Work,
}

impl Shared {
    /// Starts it, with the estate in hand; what takes time goes on in the background.
    pub fn start(self: &Arc<Self>, estate: &mut Estate, upid: &Upid, mut work: Work) {
        let upid = upid.to_string();
        let steps = std::mem::take(&mut work.steps);
        if let Err(error) = begin(estate, &upid, &mut work) {
            return close(estate, &upid, &Err(error));
        }
        let begun = Begun { upid, work };
        let seconds: f64 = steps.iter().map(|(seconds, _)| seconds).sum();
        match self.scaled(seconds) {
            None => {
                let half = steps.len().div_ceil(2);
                let failure = self.faults.take_task_failure(&begun.upid);
                for (number, (_, line)) in steps.into_iter().enumerate() {
                    if number == half && failure.is_some() {
                        break;
                    }
                    write_line(estate, &begun.upid, line);
                }
                self.warn(estate, &begun.upid, &failure);
                finish(estate, begun, failure);
            }
            Some(_) => {
                let shared = Arc::clone(self);
                tokio::spawn(async move { shared.run(begun, steps).await });
            }
        }
    }

    async fn run(self: Arc<Self>, begun: Begun, steps: Vec<(f64, String)>) {
        let half = steps.len().div_ceil(2);
        let count = steps.len();
        for (number, (seconds, line)) in steps.into_iter().enumerate() {
            if let Some(time) = self.scaled(seconds) {
                tokio::time::sleep(time).await;
            }
            let failure = if number + 1 == half || count == 0 {
                self.faults.take_task_failure(&begun.upid)
            } else {
                None
            };
            let stopping = self.change(|estate| {
                write_line(estate, &begun.upid, line);
                estate.tasks.get(&begun.upid).is_some_and(|task| task.stopping)
            });
            let failure = failure.or_else(|| stopping.then(|| "received interrupt".to_owned()));
            if failure.is_some() {
                return self.change(|estate| finish(estate, begun, failure));
            }
        }
        self.change(|estate| {
            self.warn(estate, &begun.upid, &None);
            finish(estate, begun, None);
        });
    }

    /// Writes the warning that was asked for into the log of a task that ends well.
    fn warn(&self, estate: &mut Estate, upid: &str, failure: &Option<String>) {
        let warning = failure.is_none().then(|| self.faults.take_task_warning(upid)).flatten();
        if let Some(warning) = warning {
            write_line(estate, upid, format!("WARN: {warning}"));
        }
    }

    /// How long what takes a real node so many seconds takes here; `None` for no time at all.
    pub fn scaled(&self, seconds: f64) -> Option<Duration> {
        let speed = self.options.speed?;
        let time = seconds / speed;
        (time > 0.0005).then(|| Duration::from_secs_f64(time))
    }
}

impl super::fault::Faults {
    /// The error by which this task fails half-way, if one was asked for.
    pub fn take_task_failure(&self, upid: &str) -> Option<String> {
        self.take(upid, |fault| match fault {
            Fault::TaskFails(error) => Some(error.clone()),
            _ => None,
        })
    }

    /// What this task warns of at its end, if that was asked for.
    pub fn take_task_warning(&self, upid: &str) -> Option<String> {
        self.take(upid, |fault| match fault {
            Fault::TaskWarns(warning) => Some(warning.clone()),
            _ => None,
        })
    }
}

fn begin(estate: &mut Estate, upid: &str, work: &mut Work) -> Result<(), String> {
    if let Some((vmid, word)) = work.lock {
        estate.unlocked(vmid)?;
        let mut lines = Vec::new();
        std::mem::replace(&mut work.begin, Box::new(|_, _| Ok(())))(estate, &mut lines)?;
        lines.into_iter().for_each(|line| write_line(estate, upid, line));
        if !word.is_empty()
            && let Some(guest) = estate.guest_mut(vmid)
        {
            guest.config.insert("lock".to_owned(), word.to_owned());
        }
        return Ok(());
    }
    let mut lines = Vec::new();
    let outcome = std::mem::replace(&mut work.begin, Box::new(|_, _| Ok(())))(estate, &mut lines);
    lines.into_iter().for_each(|line| write_line(estate, upid, line));
    outcome
}

fn finish(estate: &mut Estate, begun: Begun, failure: Option<String>) {
    let Begun { upid, work } = begun;
    if let Some((vmid, word)) = work.lock
        && estate.guest(vmid).is_some_and(|guest| guest.get("lock") == Some(word))
        && let Some(guest) = estate.guest_mut(vmid)
    {
        guest.config.remove("lock");
    }
    let outcome = match failure {
        Some(error) => Err(error),
        None => {
            let mut lines = Vec::new();
            let outcome = (work.end)(estate, &mut lines);
            lines.into_iter().for_each(|line| write_line(estate, &upid, line));
            outcome
        }
    };
    close(estate, &upid, &outcome);
}

fn write_line(estate: &mut Estate, upid: &str, line: String) {
    if let Some(task) = estate.tasks.get_mut(upid) {
        task.lines.push(line);
    }
}

fn close(estate: &mut Estate, upid: &str, outcome: &Result<(), String>) {
    estate.version += 1;
    let Some(task) = estate.tasks.get_mut(upid) else { return };
    let (line, status) = match outcome {
        Ok(()) => {
            let warnings = task.lines.iter().filter(|line| line.starts_with("WARN: ")).count();
            match warnings {
                0 => ("TASK OK".to_owned(), "OK".to_owned()),
                count => (format!("TASK WARNINGS: {count}"), format!("WARNINGS: {count}")),
            }
        }
        Err(error) => (format!("TASK ERROR: {error}"), error.lines().next().unwrap_or_default().to_owned()),
    };
    task.lines.push(line);
    task.end = Some((now(), status));
}
