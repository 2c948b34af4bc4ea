//! One call on its way through a method: its parameters, who makes it, and the estate that it finds.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use super::Shared;
use super::answer::{Refusal, Reply};
use super::estate::Estate;
use super::estate::guest::{Guest, Kind};
use super::permission::Caller;
use super::task::Work;
use crate::catalog::Endpoint;

/// What answers an endpoint.
pub type Handler = fn(&mut Call<'_>) -> Result<Reply, Refusal>;

pub struct Call<'a> {
    pub shared: &'a Arc<Shared>,
    pub estate: &'a mut Estate,
    /// `USER@REALM!ID`.
    pub who: &'a str,
    pub endpoint: &'a Endpoint,
    /// Those of the path, the query and the body, checked; booleans are `0` or `1`, lists are joined by NUL.
    pub parameters: BTreeMap<String, String>,
}

impl Call<'_> {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// A required parameter: that it is there was checked before.
    pub fn need(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("1")
    }

    pub fn number<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name).and_then(|value| value.parse().ok())
    }

    /// A list, whether it came as an array or in one of PVE's list formats.
    pub fn list(&self, name: &str) -> Vec<String> {
        let value = self.get(name).unwrap_or_default();
        let parts = value.split(['\0', ',', ';', ' ']).filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    }

    pub fn node(&self) -> String {
        match self.get("node") {
            None | Some("localhost") => self.estate.local().name.clone(),
            Some(name) => name.to_owned(),
        }
    }

    pub fn vmid(&self) -> u32 {
        self.number("vmid").unwrap_or_default()
    }

    /// Which kind of guest the path speaks of.
    pub fn kind(&self) -> Kind {
        if self.endpoint.path.contains("/lxc") { Kind::Lxc } else { Kind::Qemu }
    }

    pub fn guest(&self) -> Result<&Guest, Refusal> {
        Ok(self.estate.guest_on(&self.node(), self.kind(), self.vmid())?)
    }

    /// Refuses a `digest` that is no longer the current one.
    pub fn fresh(&self, current: &str) -> Result<(), Refusal> {
        match self.get("digest") {
            Some(given) if given != current => Err(Refusal::stale()),
            _ => Ok(()),
        }
    }

    pub fn caller(&self) -> Caller<'_> {
        Caller { access: self.estate.access(), who: self.who }
    }

    /// Starts a worker on the path's node, and answers with its UPID.
    pub fn task(&mut self, kind: &str, id: impl ToString, work: Work) -> Result<Reply, Refusal> {
        let node = self.node();
        self.task_on(&node, kind, id, work)
    }

    pub fn task_on(
        &mut self,
        node: &str,
        kind: &str,
        id: impl ToString,
        work: Work,
    ) -> Result<Reply, Refusal> {
        let upid = self.estate.new_task(node, kind, &id.to_string(), self.who);
        self.shared.start(self.estate, &upid, work);
        Ok(upid.to_string().into())
    }
}
