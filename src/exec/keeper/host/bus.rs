//! What is asked of systemd over the system bus: a transient service, how it stands, its end.
//!
//! Blocking: it is spoken by a process that does nothing else.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use rustbus::connection::Timeout;
use rustbus::message_builder::MarshalledMessage;
use rustbus::wire::UnixFd;
use rustbus::wire::errors::{MarshalError, UnmarshalError};
use rustbus::wire::unmarshal::traits::Variant;
use rustbus::{Marshal, MessageBuilder, MessageType, RpcConn, Signature};

use crate::enter::sys;

const BUS: &str = "org.freedesktop.DBus";
const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const PATH: &str = "/org/freedesktop/systemd1";
/// How long the bus, or systemd, may take to answer.
const PATIENCE: Timeout = Timeout::Duration(Duration::from_secs(10));
/// What all these services are called at the beginning.
pub const PREFIX: &str = "provost-host-";

#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error("the system bus: {0}")]
    Bus(#[from] rustbus::connection::Error),
    #[error("systemd refuses {call}: {answer}")]
    Refused { call: &'static str, answer: String },
    #[error("a question cannot be written: {0}")]
    Question(#[from] MarshalError),
    #[error("an answer cannot be read: {0}")]
    Answer(#[from] UnmarshalError),
    #[error("a descriptor cannot be handed over: {0}")]
    Descriptor(#[from] nix::errno::Errno),
}

/// A program with its path, its arguments, and flags.
type ExecCommand = (String, Vec<String>, Vec<String>);

/// A property's value, as far as such values are given.
#[derive(Marshal, Signature)]
enum Value {
    Text(String),
    Flag(bool),
    Signed(i32),
    Number(u64),
    Texts(Vec<String>),
    Descriptor(UnixFd),
    Commands(Vec<ExecCommand>),
}

/// A service that runs once.
pub struct Wanted<'a> {
    /// The whole name of the unit.
    pub name: &'a str,
    pub description: String,
    pub argv: &'a [String],
    pub cwd: &'a str,
    /// User, and group where it is another than the user's; none: root.
    pub user: Option<(&'a str, Option<&'a str>)>,
    /// All the variables that it has: `NAME=value`.
    pub environment: Vec<String>,
    pub stdio: [BorrowedFd<'a>; 3],
    /// After which systemd ends it by itself.
    pub most: Duration,
    pub memory: u64,
    pub tasks: u64,
    /// Microseconds of processor time in a second.
    pub cpu_us: u64,
    /// The unit that it must not outlive.
    pub bound_to: Option<&'a str>,
}

/// How a service ended.
#[derive(Debug)]
pub struct Ended {
    /// systemd's word: "success", "exit-code", "signal", "timeout", "oom-kill", …
    pub result: String,
    /// As in siginfo_t: CLD_EXITED, CLD_KILLED, CLD_DUMPED.
    pub code: i32,
    /// Exit code or signal.
    pub status: i32,
    /// Whether the program was reached: before that, what ended was systemd's own.
    pub was_active: bool,
    pub duration_us: u64,
    pub cpu_us: Option<u64>,
    pub peak_bytes: Option<u64>,
}

pub struct Systemd(RpcConn);

impl Systemd {
    pub fn connect() -> Result<Self, BusError> {
        let mut systemd = Self(RpcConn::system_conn(PATIENCE)?);
        // What changes is told to who asked for it, and only then.
        systemd.ask("Subscribe", message(MANAGER, "Subscribe"))?;
        let mut tell = MessageBuilder::new()
            .call("AddMatch")
            .with_interface(BUS)
            .on("/org/freedesktop/DBus")
            .at(BUS)
            .build();
        tell.body.push_param(format!(
            "type='signal',sender='{SYSTEMD}',interface='{PROPERTIES}',member='PropertiesChanged',path_namespace='{PATH}/unit'"
        ))?;
        systemd.ask("AddMatch", tell)?;
        Ok(systemd)
    }

    /// Readable when there is something to [`Systemd::hear`].
    pub fn watched(&self) -> BorrowedFd<'_> {
        sys::borrow(self.0.conn())
    }

    /// Takes in what has come; whether anything has.
    pub fn hear(&mut self) -> Result<bool, BusError> {
        self.0.refill_all()?;
        let mut heard = false;
        while self.0.try_get_signal().is_some() {
            heard = true;
        }
        Ok(heard)
    }

    pub fn start(&mut self, wanted: &Wanted<'_>) -> Result<(), BusError> {
        let properties = properties(wanted, self.foreign(&wanted.environment)?)?;
        let mut start = message(MANAGER, "StartTransientUnit");
        start.body.push_param2(wanted.name, "fail")?;
        start.body.push_param2(properties, Vec::<(String, Vec<(String, Value)>)>::new())?;
        self.ask("StartTransientUnit", start).map(drop)
    }

    /// Every process of it is killed.
    pub fn stop(&mut self, name: &str) -> Result<(), BusError> {
        let mut stop = message(MANAGER, "StopUnit");
        stop.body.push_param2(name, "replace")?;
        self.ask("StopUnit", stop).map(drop)
    }

    /// The services of that kind that there are, whoever started them.
    pub fn all(&mut self) -> Result<Vec<String>, BusError> {
        let mut list = message(MANAGER, "ListUnitsByPatterns");
        list.body.push_param2(Vec::<String>::new(), vec![format!("{PREFIX}*.service")])?;
        let answer = self.ask("ListUnitsByPatterns", list)?;
        let rows = answer.unmarshall_all()?;
        Ok(names(&rows.params))
    }

    /// How the service ended, once it has. `given_up`: it may have been before it began.
    pub fn ended(&mut self, name: &str, given_up: bool) -> Result<Option<Ended>, BusError> {
        let state: String =
            self.property(name, UNIT, "ActiveState")?.ok_or(UnmarshalError::WrongSignature)?;
        if !matches!(state.as_str(), "inactive" | "failed") {
            return Ok(None);
        }
        let number = |value: Option<u64>| value.filter(|value| *value != u64::MAX);
        let began: u64 = self.property(name, SERVICE, "ExecMainStartTimestampMonotonic")?.unwrap_or(0);
        let end: u64 = self.property(name, SERVICE, "ExecMainExitTimestampMonotonic")?.unwrap_or(0);
        let code: i32 = self.property(name, SERVICE, "ExecMainCode")?.unwrap_or(0);
        if state == "inactive" && code == 0 && !given_up {
            // Its turn to start had not come yet when its state was asked for; by now it may run.
            return Ok(None);
        }
        let active: u64 = self.property(name, UNIT, "ActiveEnterTimestampMonotonic")?.unwrap_or(0);
        Ok(Some(Ended {
            was_active: active != 0,
            result: self.property(name, SERVICE, "Result")?.unwrap_or_default(),
            code,
            status: self.property(name, SERVICE, "ExecMainStatus")?.unwrap_or(0),
            duration_us: end.saturating_sub(began),
            cpu_us: number(self.property(name, SERVICE, "CPUUsageNSec")?).map(|ns| ns / 1000),
            // Only newer systemd counts it.
            peak_bytes: number(self.property(name, SERVICE, "MemoryPeak").unwrap_or(None)),
        }))
    }

    /// Variables that systemd would give a service beside ours, by their names.
    fn foreign(&mut self, own: &[String]) -> Result<Vec<String>, BusError> {
        const OF_SYSTEMD: &[&str] = &[
            "INVOCATION_ID",
            "JOURNAL_STREAM",
            "LANG",
            "LOGNAME",
            "MEMORY_PRESSURE_WATCH",
            "MEMORY_PRESSURE_WRITE",
            "SHELL",
            "SYSTEMD_EXEC_PID",
            "TERM",
            "USER",
        ];
        let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
        let answer = self.ask("Get", property(PATH.to_owned(), MANAGER, "Environment")?)?;
        let set: Vec<String> = answer.body.parser().get::<Variant>()?.get()?;
        let all =
            set.iter().map(|variable| name(variable)).chain(OF_SYSTEMD.iter().map(|name| (*name).to_owned()));
        let is_foreign = |foreign: &String| !own.iter().any(|own| name(own) == *foreign);
        // Each once: systemd takes no list with a name twice.
        Ok(all.filter(is_foreign).collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn property<T>(&mut self, unit: &str, interface: &str, name: &str) -> Result<Option<T>, BusError>
    where
        T: for<'a> rustbus::Unmarshal<'a, 'a>,
    {
        let answer = self.ask("Get", property(path_of(unit), interface, name)?)?;
        Ok(answer.body.parser().get::<Variant>()?.get().ok())
    }

    fn ask(
        &mut self,
        call: &'static str,
        mut question: MarshalledMessage,
    ) -> Result<MarshalledMessage, BusError> {
        let sent = self.0.send_message(&mut question)?.write_all();
        let serial = sent.map_err(rustbus::connection::ll_conn::force_finish_on_error)?;
        let answer = self.0.wait_response(serial, PATIENCE)?;
        match answer.typ {
            MessageType::Error => {
                let name = answer.dynheader.error_name.clone().unwrap_or_default();
                let text: String = answer.body.parser().get().unwrap_or_default();
                Err(BusError::Refused { call, answer: format!("{name}: {text}") })
            }
            _ => Ok(answer),
        }
    }
}

fn message(interface: &str, member: &str) -> MarshalledMessage {
    MessageBuilder::new().call(member).with_interface(interface).on(PATH).at(SYSTEMD).build()
}

fn property(path: String, interface: &str, name: &str) -> Result<MarshalledMessage, BusError> {
    let mut get = MessageBuilder::new().call("Get").with_interface(PROPERTIES).on(path).at(SYSTEMD).build();
    get.body.push_param2(interface, name)?;
    Ok(get)
}

fn properties(wanted: &Wanted<'_>, foreign: Vec<String>) -> Result<Vec<(String, Value)>, BusError> {
    let text = |text: &str| Value::Text(text.to_owned());
    let micros = |span: Duration| Value::Number(span.as_micros() as u64);
    let [stdin, stdout, stderr] = wanted.stdio.map(descriptor);
    let program = wanted.argv.first().cloned().unwrap_or_default();
    // As it is: otherwise systemd puts variables in for "$NAME".
    let command = (program, wanted.argv.to_vec(), vec!["no-env-expand".to_owned()]);
    let mut all = vec![
        ("Description", text(&wanted.description)),
        ("Type", text("exec")),
        ("ExecStartEx", Value::Commands(vec![command])),
        ("StandardInputFileDescriptor", stdin?),
        ("StandardOutputFileDescriptor", stdout?),
        ("StandardErrorFileDescriptor", stderr?),
        ("Environment", Value::Texts(wanted.environment.clone())),
        ("UnsetEnvironment", Value::Texts(foreign)),
        ("WorkingDirectory", text(wanted.cwd)),
        // Nothing of it stays: what is to go on is a service of its own.
        ("KillMode", text("control-group")),
        ("KillSignal", Value::Signed(libc::SIGKILL)),
        ("IgnoreSIGPIPE", Value::Flag(false)),
        ("RuntimeMaxUSec", micros(wanted.most)),
        ("TimeoutStartUSec", micros(Duration::from_secs(10))),
        ("TimeoutStopUSec", micros(Duration::from_secs(5))),
        ("CPUAccounting", Value::Flag(true)),
        ("MemoryAccounting", Value::Flag(true)),
        ("MemoryMax", Value::Number(wanted.memory)),
        ("MemorySwapMax", Value::Number(0)),
        ("TasksMax", Value::Number(wanted.tasks)),
        ("CPUQuotaPerSecUSec", Value::Number(wanted.cpu_us)),
        ("OOMPolicy", text("kill")),
        ("OOMScoreAdjust", Value::Signed(500)),
        ("LimitCORE", Value::Number(0)),
        ("LimitCORESoft", Value::Number(0)),
        // It stays known until this connection ends, and not a moment longer.
        ("AddRef", Value::Flag(true)),
        ("CollectMode", text("inactive-or-failed")),
    ];
    if let Some((user, group)) = wanted.user {
        all.push(("User", text(user)));
        all.extend(group.map(|group| ("Group", text(group))));
    }
    if let Some(unit) = wanted.bound_to {
        all.push(("BindsTo", Value::Texts(vec![unit.to_owned()])));
        all.push(("After", Value::Texts(vec![unit.to_owned()])));
    }
    Ok(all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// A copy: what is handed over is closed once it is sent.
fn descriptor(fd: BorrowedFd<'_>) -> Result<Value, nix::errno::Errno> {
    Ok(Value::Descriptor(UnixFd::new(fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(3))?)))
}

/// Of a unit on the bus: what is no letter or digit stands there by its number.
fn path_of(unit: &str) -> String {
    let escaped = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("_{byte:02x}"),
    };
    format!("{PATH}/unit/{}", unit.bytes().map(escaped).collect::<String>())
}

/// The first column of a table of units.
fn names(table: &[rustbus::params::Param<'_, '_>]) -> Vec<String> {
    use rustbus::params::{Base, Container, Param};
    let Some(Param::Container(Container::Array(rows))) = table.first() else { return Vec::new() };
    let name = |row: &Param<'_, '_>| match row {
        Param::Container(Container::Struct(columns)) => match columns.first() {
            Some(Param::Base(Base::String(name))) => Some(name.clone()),
            _ => None,
        },
        _ => None,
    };
    rows.values.iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_found_on_the_bus_by_its_escaped_name() {
        let expected = "/org/freedesktop/systemd1/unit/provost_2dhost_2d0a_2eservice";
        assert_eq!(path_of("provost-host-0a.service"), expected);
    }
}
