//! All that a container's monitor is asked before an entry, one question after the other, without waiting for any of
//! them: a monitor may be stopped, and others are served meanwhile.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::error::EnterError;
use super::limits;
use super::monitor::{Asked, Monitor, Question};

/// What a monitor gets for all of its answers. It is an event loop that gives each in microseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// The settings that an entry needs, beside the limits.
const SETTINGS: [&str; 6] = [
    "lxc.seccomp.profile",
    "lxc.no_new_privs",
    "lxc.environment",
    limits::PROC,
    "lxc.cgroup.dir.container.inner",
    "lxc.sched.core",
];

/// What a monitor has answered.
#[derive(Default)]
pub struct Facts {
    pub init: Option<OwnedFd>,
    pub cgroups: Vec<OwnedFd>,
    settings: HashMap<&'static str, String>,
}

impl Facts {
    /// A setting as the running container has it; none when it is not set.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(String::as_str)
    }
}

pub struct Inquiry {
    monitor: Monitor,
    asked: Asked,
    next: VecDeque<Question>,
    facts: Facts,
    deadline: Instant,
}

impl Inquiry {
    /// For everything that an entry needs.
    pub fn whole(lxcpath: &Path, vmid: u32) -> Result<Self, EnterError> {
        let keys = SETTINGS.into_iter().chain(limits::keys());
        let questions = [Question::Init, Question::Cgroups].into_iter().chain(keys.map(Question::Setting));
        Self::begin(lxcpath, vmid, questions.collect())
    }

    /// For the container's cgroups alone.
    pub fn of_cgroups(lxcpath: &Path, vmid: u32) -> Result<Self, EnterError> {
        Self::begin(lxcpath, vmid, [Question::Cgroups].into())
    }

    fn begin(lxcpath: &Path, vmid: u32, mut next: VecDeque<Question>) -> Result<Self, EnterError> {
        let monitor = Monitor::of(lxcpath, vmid);
        let first = next.pop_front().unwrap_or(Question::Init);
        let asked = monitor.ask(first)?;
        Ok(Self { monitor, asked, next, facts: Facts::default(), deadline: Instant::now() + PATIENCE })
    }

    /// By when it is over, one way or the other.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Takes what has been answered, and asks on. The facts, once all of it is here.
    pub fn turn(&mut self) -> Result<Option<Facts>, EnterError> {
        loop {
            let question = self.asked.question;
            let Some(answer) = self.monitor.answer(&mut self.asked)? else {
                if self.deadline > Instant::now() {
                    return Ok(None);
                }
                let (vmid, what) = (self.monitor.vmid(), question.name());
                return Err(EnterError::Monitor { vmid, what, errno: Errno::ETIMEDOUT });
            };
            match question {
                Question::Init => {
                    let init = answer.descriptors.into_iter().next_back();
                    self.facts.init = Some(init.ok_or_else(|| self.monitor.refused(question, answer.ret))?);
                }
                // A monitor from before that command names the unified one alone.
                Question::Cgroups if answer.descriptors.is_empty() => {
                    self.next.push_front(Question::UnifiedCgroup);
                }
                Question::Cgroups | Question::UnifiedCgroup => self.facts.cgroups = answer.descriptors,
                Question::Setting(key) => match answer.ret {
                    0 => {
                        if let Some(text) = self.text(key, answer.payload)? {
                            self.facts.settings.insert(key, text);
                        }
                    }
                    // Not set, or not known to this lxc: it says the same for both.
                    -1 => {}
                    ret => return Err(self.monitor.refused(question, ret)),
                },
            }
            match self.next.pop_front() {
                Some(question) => self.asked = self.monitor.ask(question)?,
                None => return Ok(Some(std::mem::take(&mut self.facts))),
            }
        }
    }

    fn text(&self, item: &'static str, mut payload: Vec<u8>) -> Result<Option<String>, EnterError> {
        payload.truncate(payload.iter().position(|byte| *byte == 0).unwrap_or(payload.len()));
        let text = String::from_utf8(payload).map_err(|error| EnterError::Setting {
            vmid: self.monitor.vmid(),
            item,
            text: String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }
}

/// Readable when there is something to take.
impl AsFd for Inquiry {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.asked.as_fd()
    }
}
