//! Why a call gave nothing: for the operator, and for whoever decides whether to ask again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::call::Call;
use super::client::Methods;
use super::connection::{Broken, Unconnected};
use super::daemon::{Daemon, Unanswered, is_cheap};
use super::refusal::{Failure, Forbidden};
use super::sink::Overfull;
use super::tls::CertificateError;
use super::token::TokenError;
use crate::http::Method;
use crate::product::Product;

/// `what` is the method and path, without values. Messages of PVE's are cleaned of control and hidden characters; they may
/// quote what a guest or another user wrote.
#[derive(Debug, thiserror::Error)]
pub enum PveError {
    // Nothing was sent.
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("{what} was not sent: this client {allowed}")]
    Withheld { what: String, allowed: Methods },
    #[error("{what} was not sent: {daemon} has not answered for {silent}; next try {next}", silent = seconds(*silent), next = soon(*next))]
    Wedged { what: String, daemon: String, silent: Duration, next: Duration },
    #[error("{what} was not sent: {waiting} calls wait for {daemon} already; ask again when they are done")]
    Busy { what: String, daemon: String, waiting: usize },
    #[error("{what} was not sent: {daemon}: {why}; see `systemctl status {unit}`", unit = unit(daemon))]
    NotSent { what: String, daemon: String, why: String },

    // It may have been sent, and there is no answer to use.
    #[error("{what}: {daemon} gave no whole answer: {why}")]
    NoAnswer { what: String, daemon: String, why: String },
    #[error(
        "{what}: more than {most} bytes of the answer would have to be held; ask for less, by a narrower path or by its \
         parameters"
    )]
    TooLong { what: String, most: usize },
    #[error("{what}: the answer could not be held: {why}; ask again when they are done, or for less")]
    NoRoom { what: String, why: String },
    /// A write, with nobody to say whether it was done. It is never repeated here.
    #[error(
        "{what} may have happened, and may not: {why}. Do not repeat it before looking: {}",
        check.join(", ")
    )]
    MayHaveHappened {
        what: String,
        why: String,
        /// What to read.
        check: Vec<String>,
    },
    #[error("{what}: status {status}, and not the JSON that PVE gives: {why}")]
    NotJson { what: String, status: u16, why: String },

    // PVE's answer.
    #[error("{product} does not know the API token: {message}; see its list of tokens, and `provost setup`")]
    Unauthorized { product: Product, message: String },
    #[error("{what}: {forbidden}")]
    Forbidden { what: String, forbidden: Forbidden },
    #[error("{what}: {message}{}", by_name(errors))]
    BadParameters { what: String, message: String, errors: BTreeMap<String, String> },
    #[error("{what}: {message}")]
    NotFound { what: String, message: String },
    #[error("{what}: this PVE has no such method: {message}")]
    NotImplemented { what: String, message: String },
    #[error("{what}: {message}{}", failure.advice().map(|advice| format!(" ({advice})")).unwrap_or_default())]
    Failed { what: String, failure: Failure, message: String },
    /// 595 to 599: pveproxy could not pass it on to the node that it is for.
    #[error(
        "{what}: pveproxy did not reach the node that it is for (status {status}): {message}; see /cluster/status"
    )]
    Proxy { what: String, status: u16, message: String },
    #[error("{what}: status {status}: {message}")]
    Unexpected { what: String, status: u16, message: String },
}

/// What to look at: both of PVE's daemons, or the one of another product.
fn unit(daemon: &str) -> &str {
    match daemon.split(' ').next().unwrap_or_default() {
        "pveproxy" | "pvedaemon" => "pveproxy pvedaemon",
        other => other,
    }
}

impl PveError {
    /// The HTTP status of PVE's answer, where there was one.
    pub fn status(&self) -> Option<u16> {
        Some(match self {
            Self::Unauthorized { .. } => 401,
            Self::Forbidden { .. } => 403,
            Self::BadParameters { .. } => 400,
            Self::NotFound { .. } => 404,
            Self::NotImplemented { .. } => 501,
            Self::Failed { .. } => 500,
            Self::NotJson { status, .. } | Self::Proxy { status, .. } | Self::Unexpected { status, .. } => {
                *status
            }
            _ => return None,
        })
    }

    /// What did not answer, as systemd calls it; nothing where it answered.
    pub fn unit(&self) -> Option<&str> {
        match self {
            Self::Wedged { daemon, .. }
            | Self::Busy { daemon, .. }
            | Self::NotSent { daemon, .. }
            | Self::NoAnswer { daemon, .. } => Some(unit(daemon)),
            _ => None,
        }
    }

    /// Whether it is unknown if a change was made.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::MayHaveHappened { .. })
    }

    /// Whether the next try may go better without anything being changed: the way to PVE was at fault, not the call.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Wedged { .. }
                | Self::Busy { .. }
                | Self::NoRoom { .. }
                | Self::NotSent { .. }
                | Self::NoAnswer { .. }
                | Self::Proxy { .. }
        )
    }

    /// The same, naming nothing to look at that the API has no GET for: a third of what changes something has none.
    pub fn to_look_at(mut self, can_read: impl Fn(&str) -> bool) -> Self {
        let Self::MayHaveHappened { check, .. } = &mut self else { return self };
        let path_of = |line: &str| line.strip_prefix("read ")?.split(' ').next().map(str::to_owned);
        if let Some(path) = check.first().and_then(|first| path_of(first))
            && (!can_read(&path) || is_guest(&path))
        {
            let tasks = check.pop();
            *check = instead(&path, &can_read).into_iter().map(|path| format!("read {path}")).collect();
            check.extend(tasks);
        }
        check.retain(|line| path_of(line).is_none_or(|path| can_read(&path)));
        self
    }

    pub(super) fn unanswered(call: &Call, daemon: &Daemon, unanswered: Unanswered) -> Self {
        let what = call.name();
        let name = format!("{} at {}", daemon.name, daemon.address.authority());
        let (why, left, after) = match unanswered {
            Unanswered::Open(open) => {
                return Self::Wedged { what, daemon: name, silent: open.silent, next: open.next };
            }
            Unanswered::Busy { waiting } => return Self::Busy { what, daemon: name, waiting },
            Unanswered::Wedged { after } => {
                let either = if is_cheap(call) { "" } else { ", and no answer to GET /version either" };
                let why = format!("nothing in {}{either}", seconds(after));
                return Self::NoAnswer { what, daemon: name, why };
            }
            Unanswered::NoTurn { after } => {
                let why = format!("its turn did not come in {}", seconds(after));
                return Self::NotSent { what, daemon: name, why };
            }
            Unanswered::Unconnected(Unconnected::Certificate(error)) => return error.into(),
            Unanswered::Unconnected(Unconnected::Io(error)) => {
                return Self::NotSent { what, daemon: name, why: format!("no connection: {error}") };
            }
            Unanswered::Unconnected(Unconnected::TimedOut(after)) => {
                let why = format!("no connection in {}", seconds(after));
                return Self::NotSent { what, daemon: name, why };
            }
            Unanswered::Lost { why, left, after } => (why, left, after),
        };
        let said = match &why {
            Broken::TimedOut => format!("no whole answer in {}", seconds(after)),
            Broken::Http(why) => format!("the connection broke after {}: {why}", seconds(after)),
            why => format!("the answer: {why}"),
        };
        match (call.method, why) {
            (Method::Get, Broken::Overfull(Overfull::TooLong(most))) => Self::TooLong { what, most },
            (Method::Get, Broken::Overfull(room)) => Self::NoRoom { what, why: room.to_string() },
            (Method::Get, _) => Self::NoAnswer { what, daemon: name, why: said },
            _ if !left => Self::NotSent { what, daemon: name, why: said },
            _ => Self::unknown(call, format!("it was sent to {name}, but {said}")),
        }
    }

    pub(super) fn unknown(call: &Call, why: String) -> Self {
        let mut check = vec![];
        // What was made stands in the list above; what was changed or removed, at its own place.
        let place = match call.method {
            Method::Post => call.path.parent().unwrap_or_else(|| call.path.clone()),
            _ => call.path.clone(),
        };
        if call.method == Method::Post {
            check.push(format!("read {}", call.path));
        }
        check.push(format!("read {place}"));
        check.push(match call.node() {
            Some(node) => format!("read /nodes/{node}/tasks for a task of this time"),
            None => "read /cluster/tasks for a task of this time".to_owned(),
        });
        Self::MayHaveHappened { what: call.name(), why, check }
    }
}

/// Whether it is a guest itself, of which PVE only tells what is below it, also when there is no such guest.
fn is_guest(path: &str) -> bool {
    matches!(path.split('/').collect::<Vec<_>>()[..], ["", "nodes", _, "qemu" | "lxc", _])
}

/// What is read in place of `path`, which cannot be: how the guest is that it acts on, or the nearest thing above.
fn instead(path: &str, can_read: impl Fn(&str) -> bool) -> Vec<String> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    if let ["nodes", node, kind @ ("qemu" | "lxc"), vmid, ..] = segments[..] {
        let of_guest = ["config", "status/current"].map(|leaf| format!("/nodes/{node}/{kind}/{vmid}/{leaf}"));
        return of_guest.into_iter().filter(|path| can_read(path)).collect();
    }
    let above = (1..segments.len()).rev().map(|count| format!("/{}", segments[..count].join("/")));
    above.filter(|path| can_read(path)).take(1).collect()
}

fn seconds(span: Duration) -> String {
    match span.as_millis() {
        millis @ ..1000 => format!("{millis} ms"),
        millis => format!("{:.1} s", millis as f64 / 1000.0),
    }
}

fn soon(span: Duration) -> String {
    match span.is_zero() {
        true => "is under way".to_owned(),
        false => format!("in {}", seconds(span)),
    }
}

fn by_name(errors: &BTreeMap<String, String>) -> String {
    errors.iter().map(|(name, why)| format!("; {name}: {why}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, Release};
    use crate::pve::Path;
    use crate::pve::call::Write;

    #[test]
    fn what_is_named_to_look_at_can_be_read_whatever_was_sent() {
        let catalog = Catalog::embedded(Release::LATEST);
        let can_read = |path: &str| catalog.endpoint(Method::Get, path).is_ok();
        let value = |segment: &str| {
            match segment {
                "{node}" => "pve1",
                "{vmid}" => "104",
                "{userid}" => "a@pve",
                "{sid}" => "vm:104",
                segment if segment.starts_with('{') => "aaa",
                segment => segment,
            }
            .to_owned()
        };
        let mut seen = 0;
        for endpoint in catalog.endpoints().iter().filter(|endpoint| endpoint.method != Method::Get) {
            let path: Vec<String> = endpoint.path.split('/').map(value).collect();
            let path = Path::parse(&path.join("/")).expect(&endpoint.path);
            let write = match endpoint.method {
                Method::Post => Write::post(path),
                Method::Put => Write::put(path),
                _ => Write::delete(path),
            };
            let error = PveError::unknown(&write.0, "it was lost".into()).to_look_at(can_read);
            let PveError::MayHaveHappened { check, .. } = &error else { panic!("{error}") };
            assert!(check.len() > 1, "{} {}: {check:?}", endpoint.method, endpoint.path);
            for line in check {
                let read = line.strip_prefix("read ").and_then(|line| line.split(' ').next()).expect(line);
                assert!(can_read(read), "{} {}: {line}", endpoint.method, endpoint.path);
            }
            seen += 1;
        }
        assert!(seen > 330, "{seen}");
    }
}
