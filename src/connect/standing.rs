//! How every host stands, for `status`, `provost://fleet` and `--check`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::answer::HOST;
use super::front::Front;
use super::host::{Host, Standing};
use super::look::{CANNOT_SAY, WRONG_NODE};
use super::places::Place;
use super::trouble::Trouble;

impl Front {
    /// How every host stands.
    pub fn standing(&self) -> Value {
        let map = self.surveyor.map();
        let failed = self.surveyor.failed();
        let one = |(place, host): (Place, &Arc<Host>)| {
            let mut shown = match host.standing() {
                Standing::Idle => json!({ "state": "not_asked_yet" }),
                Standing::Connecting => json!({ "state": "connecting" }),
                Standing::Up { since } => json!({ "state": "up", "since_s": since.as_secs() }),
                Standing::Down { trouble, since, next } => json!({
                    "state": "down", "since_s": since.as_secs(), "error": trouble.json(), "tried_again_in_s": next.as_secs(),
                }),
            };
            shown[HOST] = (*host.name).into();
            if let Some(seen) = map.seen(place) {
                shown["node"] = seen.node.clone().into();
                shown["cluster"] = seen.cluster.clone().into();
                shown["guests"] = seen.guests.len().into();
            }
            // What is wrong with a host that is there.
            let is_down = shown.get("error").is_some();
            let is_told =
                |trouble: &&Trouble| trouble.kind == WRONG_NODE || trouble.kind == CANNOT_SAY && !is_down;
            if let Some(trouble) = failed[place].as_ref().filter(is_told) {
                shown["error"] = trouble.json();
            }
            shown
        };
        self.hosts.iter().enumerate().map(one).collect()
    }

    /// Has every host looked at, as far as they answer.
    pub async fn look(self: &Arc<Self>) {
        self.surveyor.look(&self.all()).await;
    }
}
