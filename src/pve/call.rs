//! What may be asked of the API. A request line is made here and nowhere else, and only from parts that were checked or
//! encoded: nothing that a model wrote reaches the wire as it stands.
//!
//! A [`Read`] can be asked again and again; a [`Write`] is consumed by being sent, so that it cannot be sent twice. A [`Once`]
//! is a GET that is sent as a write is: it changes nothing that was asked for, and yet its answer is given only once.

use std::fmt;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

pub use super::path::Path;
use crate::catalog::Checked;
use crate::http::{Method, encoded};

/// Where PVE's JSON is, below the daemon's address.
const ROOT: &str = "/api2/json";

/// Bytes of encoded parameters: of a query, which is a part of the head, and of a form.
const LONGEST_QUERY: usize = 32 << 10;
const LONGEST_FORM: usize = 1 << 20;
/// What PVE's daemons take of a body.
const LONGEST_JSON: usize = 512 << 10;

/// Characters of what a caller wrote that an error repeats.
pub(super) const SHOWN: usize = 80;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("{path:?} is no path of the API: {why}")]
    Path { path: String, why: &'static str },
    #[error("{segment:?} cannot stand in a path: {why}")]
    Segment { segment: String, why: &'static str },
    #[error("parameter {name:?}: a parameter's name has only letters, digits, '-' and '_'")]
    Name { name: String },
    #[error("parameter \"{name}\" holds a NUL byte, which PVE cannot take")]
    Value { name: String },
    #[error("with parameter \"{name}\" the request is longer than {most} bytes, which PVE would not take")]
    TooLong { name: String, most: usize },
    #[error("{given} names no node: a node's name has letters, digits and '-'")]
    Node { given: String },
}

fn is_node_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// What [`Read`] and [`Write`] have in common.
pub(super) struct Call {
    pub method: Method,
    /// Whether it can be sent a second time when nobody knows what became of the first.
    pub repeats: bool,
    pub path: Path,
    /// Encoded pairs, joined; of a query or of a form.
    pairs: String,
    /// The body, where it is no form.
    json: Option<String>,
    /// The parameters by name: values may be secrets, and are shown nowhere.
    names: Vec<String>,
    node: Option<String>,
    pub through_proxy: bool,
    pub timeout: Option<Duration>,
}

impl Call {
    fn new(method: Method, path: Path) -> Self {
        let node = path.node().map(str::to_owned);
        Self {
            method,
            repeats: method == Method::Get,
            path,
            pairs: String::new(),
            json: None,
            names: vec![],
            node,
            through_proxy: false,
            timeout: None,
        }
    }

    fn push(&mut self, name: &str, value: &str) -> Result<(), CallError> {
        let named = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !named {
            return Err(CallError::Name { name: crate::text::brief(name, SHOWN) });
        }
        if value.contains('\0') {
            return Err(CallError::Value { name: name.to_owned() });
        }
        let most = match self.method {
            Method::Get | Method::Delete => LONGEST_QUERY,
            Method::Post | Method::Put => LONGEST_FORM,
        };
        let before = self.pairs.len();
        if before > 0 {
            self.pairs.push('&');
        }
        self.pairs.push_str(name);
        self.pairs.push('=');
        self.pairs.extend(encoded(value));
        if self.pairs.len() > most {
            self.pairs.truncate(before);
            return Err(CallError::TooLong { name: name.to_owned(), most });
        }
        self.names.push(name.to_owned());
        Ok(())
    }

    /// The node that answers, where the path or the caller names one.
    pub fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }

    /// What follows the method on the request line. PVE takes the parameters of a DELETE here too.
    pub fn target(&self) -> String {
        match self.method {
            Method::Get | Method::Delete if !self.pairs.is_empty() => {
                format!("{ROOT}{}?{}", self.path, self.pairs)
            }
            _ => format!("{ROOT}{}", self.path),
        }
    }

    pub fn uri(&self) -> hyper::Uri {
        self.target().parse().expect("a checked path and encoded pairs of bounded length are a URI")
    }

    /// The values that are secret by the names of their parameters.
    pub fn secrets(&self) -> Vec<String> {
        let pairs = self.pairs.split('&').zip(&self.names);
        pairs
            .filter(|(_, name)| crate::secret::is_secret(self.path.as_str(), name))
            .filter_map(|(pair, _)| pair.split_once('='))
            .map(|(_, value)| percent_decode_str(value).decode_utf8_lossy().into_owned())
            .collect()
    }

    /// The form, or what stands in its place, for the methods that carry one.
    pub fn body(&self) -> Option<&str> {
        let body = self.json.as_ref().unwrap_or(&self.pairs);
        matches!(self.method, Method::Post | Method::Put).then_some(body)
    }

    /// What the body is.
    pub fn content_type(&self) -> &'static str {
        if self.json.is_some() { "application/json" } else { "application/x-www-form-urlencoded" }
    }

    /// `GET /nodes/pve1/lxc`, for errors and logs: no value stands in it.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} {} {:?}", self.method, self.path, self.names)
    }
}

macro_rules! builder {
    ($type:ty) => {
        impl $type {
            /// Adds a parameter. `value` is plain text: it is encoded here.
            pub fn with(mut self, name: &str, value: impl AsRef<str>) -> Result<Self, CallError> {
                self.0.push(name, value.as_ref())?;
                Ok(self)
            }

            /// Names the node that answers, where the path does not (PVE's `proxyto` of another parameter).
            pub fn on_node(mut self, node: &str) -> Result<Self, CallError> {
                if !is_node_name(node) {
                    return Err(CallError::Node { given: crate::text::brief(node, SHOWN) });
                }
                self.0.node = Some(node.to_owned());
                Ok(self)
            }

            /// Asks pveproxy, whatever node it is for: it finds out itself where some methods are answered.
            pub fn through_proxy(mut self) -> Self {
                self.0.through_proxy = true;
                self
            }

            /// The whole time that this call may take, in place of [`super::Limits::call`].
            pub fn within(mut self, time: Duration) -> Self {
                self.0.timeout = Some(time);
                self
            }

            pub fn path(&self) -> &Path {
                &self.0.path
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(to)
            }
        }
    };
}

/// A GET. It changes nothing, so it may be asked again.
pub struct Read(pub(super) Call);

impl Read {
    pub fn new(path: Path) -> Self {
        Self(Call::new(Method::Get, path))
    }
}

/// A GET whose answer is told to one asker alone, as that of a process's end. Asking consumes it, and it is asked of one daemon.
pub struct Once(pub(super) Call);

impl Once {
    pub fn new(path: Path) -> Self {
        Self(Call { repeats: false, ..Call::new(Method::Get, path) })
    }
}

/// A POST that only says what it would do: of the calls that have a dry run, and with it set. Whoever only reads may ask it.
pub struct Rehearsal(pub(super) Call);

impl Rehearsal {
    /// What a retention would take of one group of a Backup Server. `keep`: `keep-last` and its like; with none of them all is
    /// kept.
    pub fn prune(
        store: &str,
        ns: &str,
        kind: &str,
        id: &str,
        keep: &[(String, String)],
    ) -> Result<Self, CallError> {
        let mut call = Call::new(Method::Post, Path::of(["admin", "datastore", store, "prune"])?);
        // Asked twice, it says the same twice.
        call.repeats = true;
        for (name, value) in [("dry-run", "true"), ("backup-type", kind), ("backup-id", id)] {
            call.push(name, value)?;
        }
        if !ns.is_empty() {
            call.push("ns", ns)?;
        }
        for (name, value) in keep.iter().filter(|(name, _)| name.starts_with("keep-")) {
            call.push(name, value)?;
        }
        Ok(Self(call))
    }
}

/// A POST, PUT or DELETE. Sending it consumes it.
pub struct Write(pub(super) Call);

impl Write {
    pub fn post(path: Path) -> Self {
        Self(Call::new(Method::Post, path))
    }

    pub fn put(path: Path) -> Self {
        Self(Call::new(Method::Put, path))
    }

    pub fn delete(path: Path) -> Self {
        Self(Call::new(Method::Delete, path))
    }

    pub fn method(&self) -> Method {
        self.0.method
    }

    /// Whether its parameters go as a form.
    pub fn is_form(&self) -> bool {
        self.0.json.is_none()
    }

    /// With these parameters as a JSON body in place of a form: for lists, as PVE loses what stands before an empty item of a
    /// form's. None of the values may be a secret.
    pub fn with_json(mut self, parameters: &Map<String, Value>) -> Result<Self, CallError> {
        let body = Value::from(parameters.clone()).to_string();
        if body.len() > LONGEST_JSON {
            let name = parameters.keys().next().cloned().unwrap_or_default();
            return Err(CallError::TooLong { name, most: LONGEST_JSON });
        }
        self.0.names = parameters.keys().cloned().collect();
        self.0.json = Some(body);
        Ok(self)
    }
}

builder!(Read);
builder!(Once);
builder!(Write);

impl TryFrom<&Checked> for Read {
    type Error = CallError;

    /// A GET whose parameters were checked against the catalogue.
    fn try_from(checked: &Checked) -> Result<Self, CallError> {
        if checked.method() != Method::Get {
            let why = "it is no GET";
            return Err(CallError::Path { path: checked.path().to_owned(), why });
        }
        // Encoded by segments there, and so here: what an encoded `/` belongs to is known to both.
        let segments =
            checked.path().split('/').skip(1).map(|segment| percent_decode_str(segment).decode_utf8_lossy());
        let mut read = Self::new(Path::of(segments)?);
        for (name, value) in checked.pairs() {
            read = read.with(name, value)?;
        }
        match checked.node() {
            Some(node) => read.on_node(node),
            None => Ok(read),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_become_another_parameter() {
        let path = || Path::parse("/nodes/pve1/lxc").unwrap();
        let write = Write::post(path()).with("net0", "name=eth0,bridge=vmbr0&x=1 +%é\r\n").unwrap();
        assert_eq!(write.0.body(), Some("net0=name%3Deth0%2Cbridge%3Dvmbr0%26x%3D1%20%2B%25%C3%A9%0D%0A"));
        assert_eq!(write.0.target(), "/api2/json/nodes/pve1/lxc");
        let write = Write::delete(path()).with("purge", "1").unwrap().with("force", "0").unwrap();
        assert_eq!(
            (write.0.target().as_str(), write.0.body()),
            ("/api2/json/nodes/pve1/lxc?purge=1&force=0", None)
        );
        for name in ["", "a=b", "a&b", "a b", "a\n", "net[0]", "é"] {
            assert!(Read::new(path()).with(name, "1").is_err(), "{name:?}");
        }
        assert!(Read::new(path()).with("a", "\0").is_err());
        assert!(Read::new(path()).with("a", "=".repeat(LONGEST_QUERY / 3 + 1)).is_err());
        let longest = Read::new(path()).with("a", "=".repeat(LONGEST_QUERY / 3 - 1)).unwrap();
        assert_eq!(longest.0.uri().query().map(str::len), Some(2 + 3 * (LONGEST_QUERY / 3 - 1)));
    }

    #[test]
    fn a_rehearsal_is_always_a_dry_run_and_no_value_can_end_that() {
        let keep =
            [("keep-last".to_owned(), "1&dry-run=false".to_owned()), ("dry-run".to_owned(), "0".to_owned())];
        let call = Rehearsal::prune("tank", "a/b", "vm", "105", &keep).unwrap().0;
        assert_eq!(call.target(), "/api2/json/admin/datastore/tank/prune");
        assert_eq!(
            call.body(),
            Some("dry-run=true&backup-type=vm&backup-id=105&ns=a%2Fb&keep-last=1%26dry-run%3Dfalse")
        );
        assert!(Rehearsal::prune("../x", "", "vm", "105", &[]).is_err());
    }

    #[test]
    fn the_node_is_the_paths_or_the_callers() {
        let read = Read::new(Path::parse("/nodes/pve2/status").unwrap());
        assert_eq!(read.0.node(), Some("pve2"));
        let read = Read::new(Path::parse("/cluster/sdn/dry-run").unwrap());
        assert_eq!(read.0.node(), None);
        assert_eq!(read.on_node("pve3").unwrap().0.node(), Some("pve3"));
        assert!(Read::new(Path::parse("/").unwrap()).on_node("a/b").is_err());
    }

    #[test]
    fn a_list_goes_as_json_with_its_empty_items() {
        let parameters = serde_json::json!({ "command": ["echo", "", "a&b=c"] });
        let write =
            Write::post(Path::parse("/x").unwrap()).with_json(parameters.as_object().unwrap()).unwrap();
        assert_eq!(write.0.body(), Some(r#"{"command":["echo","","a&b=c"]}"#));
        assert_eq!((write.0.content_type(), write.0.target().as_str()), ("application/json", "/api2/json/x"));
        let long = serde_json::json!({ "command": ["x".repeat(LONGEST_JSON)] });
        assert!(Write::post(Path::parse("/x").unwrap()).with_json(long.as_object().unwrap()).is_err());
    }

    #[test]
    fn values_are_not_shown() {
        let write = Write::put(Path::parse("/x").unwrap()).with("password", "hunter2").unwrap();
        let shown = format!("{write:?}");
        assert!(shown.contains("password") && !shown.contains("hunter2"), "{shown}");
    }
}
