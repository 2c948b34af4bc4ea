//! The fleet as one: a call in, the hosts that it goes to, and what comes back.

use std::collections::BTreeMap;
use std::sync::Arc;

use rmcp::ErrorData;
use rmcp::model::{CallToolResponse, InputResponses, RequestMetaObject};
use serde_json::{Map as Object, Value};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answer::{HOST, Said};
use super::client::Client;
use super::ears::Progress;
use super::fleet::Fleet;
use super::host::{Common, Host};
use super::made::Made;
use super::merge;
use super::places::{Map, Place};
use super::route::{self, About, Sight, Target};
use super::survey::Surveyor;
use super::taint::Tainted;
use crate::share::Supply;
use crate::tools::face::Failure;

/// Bytes that the unfinished lines of all hosts may take together, and of one host.
const UNFINISHED: (usize, usize) = (256 << 20, 34 << 20);
/// Tools by which the wrong one of two guests would be looked into, or planned for: with a word of warning.
const TOUCHING: &[&str] = &["exec", "plan"];
/// What stands between a host's name and what is that host's: neither a name nor an id has one before it.
const OF: char = '/';

pub struct Front {
    pub fleet: Fleet,
    pub client: Arc<Client>,
    pub(super) hosts: Vec<Arc<Host>>,
    pub names: Vec<Arc<str>>,
    pub(super) surveyor: Arc<Surveyor>,
    pub(super) made: Made,
    /// Hosts that have given what a guest wrote: the others are told, as it may steer what they are asked.
    pub(super) tainted: Tainted,
    common: Arc<Common>,
}

/// A call to a tool, as a client makes it.
pub struct Asked {
    pub tool: &'static str,
    pub args: Object<String, Value>,
    pub responses: Option<InputResponses>,
    pub state: Option<String>,
    pub meta: RequestMetaObject,
    pub progress: Option<Progress>,
}

impl Front {
    pub fn new(fleet: Fleet, client: Arc<Client>, stop: CancellationToken) -> Arc<Self> {
        let common = Arc::new(Common {
            client: client.clone(),
            ssh_config: fleet.ssh_config.clone(),
            unfinished: Supply::new(UNFINISHED.0, UNFINISHED.1),
            stop,
            ways: TaskTracker::new(),
        });
        let host =
            |(place, spec): (usize, &super::fleet::Spec)| Host::new(spec.clone(), place, common.clone());
        let hosts: Vec<Arc<Host>> = fleet.hosts.iter().enumerate().map(host).collect();
        Arc::new(Self {
            names: hosts.iter().map(|host| host.name.clone()).collect(),
            surveyor: Surveyor::new(hosts.clone()),
            made: Made::default(),
            tainted: Tainted::default(),
            fleet,
            client,
            hosts,
            common,
        })
    }

    /// Ends all sessions and what is behind them, and waits until they have.
    pub async fn end(&self) {
        self.common.stop.cancel();
        self.common.ways.close();
        self.common.ways.wait().await;
    }

    pub fn all(&self) -> Vec<Place> {
        (0..self.hosts.len()).collect()
    }

    /// The hosts that a name means.
    pub fn named(&self, name: &str) -> Result<Vec<Place>, Failure> {
        let members = self.fleet.members(name).ok_or_else(|| {
            let error = self.fleet.unknown(name);
            let groups: Vec<&String> = self.fleet.groups.keys().collect();
            let mut next = format!("hosts: {}", self.names.join(", "));
            if !groups.is_empty() {
                next += &format!("; groups: {}", groups.into_iter().cloned().collect::<Vec<_>>().join(", "));
            }
            Failure::new("no_such_host", error.to_string(), next)
        })?;
        let place = |(place, host): (Place, &Arc<Host>)| members.contains(&host.spec.name).then_some(place);
        Ok(self.hosts.iter().enumerate().filter_map(place).collect())
    }

    fn place(&self, name: &str) -> Option<Place> {
        self.names.iter().position(|known| **known == *name)
    }

    /// An answer of this host's did not fit what was thought of it.
    pub(super) fn doubt(&self, name: &str) {
        if let Some(place) = self.place(name) {
            self.surveyor.doubt(place);
        }
    }

    /// What carries a host's name before what is that host's own.
    pub fn with_name(&self, place: Place, own: &str) -> String {
        format!("{}{OF}{own}", self.names[place])
    }

    pub fn by_name<'a>(&self, given: &'a str) -> Option<(Place, &'a str)> {
        let (name, own) = given.split_once(OF)?;
        Some((self.place(name)?, own))
    }

    pub async fn call(self: &Arc<Self>, mut asked: Asked) -> Result<CallToolResponse, ErrorData> {
        match self.goes_to(&mut asked).await {
            Ok(Way::One { places, note, by_guest }) => self.one(places, asked, note, by_guest).await,
            Ok(Way::Each(groups, from)) => Ok(self.each(groups, asked, from).await.result().into()),
            Err(failure) => Ok(Said::failure(&failure).result().into()),
        }
    }

    async fn goes_to(self: &Arc<Self>, asked: &mut Asked) -> Result<Way, Failure> {
        // What a host wants to have back goes there and nowhere else.
        if let Some(state) = asked.state.take() {
            let (place, own) = self.by_name(&state).ok_or_else(not_given)?;
            asked.state = Some(own.to_owned());
            asked.args.remove(HOST);
            return Ok(Way::to(vec![place]));
        }
        let mut among = match asked.args.remove(HOST) {
            None | Some(Value::Null) => self.all(),
            Some(Value::String(name)) if name.trim().is_empty() => self.all(),
            Some(Value::String(name)) => self.named(name.trim())?,
            Some(_) => {
                let next = format!("one of: {}", self.names.join(", "));
                return Err(Failure::new("arguments", "`host` is the name of a host or a group", next));
            }
        };
        if let Some(place) = self.maker(asked, &among)? {
            return Ok(Way::to(vec![place]));
        }
        let mut from = BTreeMap::new();
        if asked.tool == "read"
            && let Some(cursor) = asked.args.get("cursor").and_then(Value::as_str)
            && let Some(rows) = merge::cursors(cursor)
        {
            // The next page is of those that have one.
            among = rows
                .keys()
                .map(|name| self.place(name).filter(|place| among.contains(place)).ok_or_else(bad_cursor))
                .collect::<Result<_, _>>()?;
            asked.args.remove("cursor");
            from = rows;
            return Ok(Way::Each(among.into_iter().map(|place| vec![place]).collect(), from));
        }
        let about = route::about(asked.tool, &asked.args);
        let (target, in_doubt) = self.target(&about, &among).await?;
        Ok(match target {
            Target::One(places) => {
                let by_guest = among.len() > 1 && about.guest.is_some();
                let is_doubtful = by_guest && !in_doubt.is_empty();
                let doubt = || {
                    let names: Vec<&str> = in_doubt.iter().map(|place| &*self.names[*place]).collect();
                    let names = names.join(", ");
                    format!("not known: whether there is such a guest on {names}, which did not say")
                };
                if is_doubtful && about.is_at_once {
                    let here: Vec<&str> = places.iter().map(|place| &*self.names[*place]).collect();
                    let next = format!(
                        "call again with `host` {}, if that is the one; `status` says how the others stand",
                        here.join(" or ")
                    );
                    return Err(Failure::new("which_host", doubt(), next));
                }
                let note = match is_doubtful && TOUCHING.contains(&asked.tool) {
                    true => Some(doubt()),
                    false => self.by_name_alone(asked, &about, &among, &places)?,
                };
                Way::One { places, note, by_guest }
            }
            Target::Each(groups) => Way::Each(groups, from),
        })
    }

    /// What is said where words go to one host because of a name in them, which that host gave itself. A plan's arguments,
    /// which may hold a secret, do not go by that.
    fn by_name_alone(
        &self,
        asked: &Asked,
        about: &About,
        among: &[Place],
        places: &[Place],
    ) -> Result<Option<String>, Failure> {
        let (Some(words), Some(first), true) = (&about.words, places.first(), among.len() > 1) else {
            return Ok(None);
        };
        if !["read", "plan"].contains(&asked.tool) {
            return Ok(None);
        }
        let (map, unseen) = self.surveyor.sight(among);
        let sight = Sight { map: &map, among, names: &self.names, unseen: &unseen };
        let Some(name) = sight.named_in(words) else { return Ok(None) };
        let (name, host) = (crate::text::quoted(name, 64), &self.names[*first]);
        let has_arguments =
            asked.args.get("args").and_then(Value::as_object).is_some_and(|args| !args.is_empty());
        if asked.tool == "plan" && has_arguments {
            let message = format!("the words say by a name alone, {name}, where the arguments are to go");
            let next = format!("call again with `host` {host}, if that is the one, or with the guest's id");
            return Err(Failure::new("which_host", message, next));
        }
        Ok(Some(format!("asked of {host} alone, which has what is called {name}; `host` says otherwise")))
    }

    /// The host that made what the call names, if it names something that was made.
    fn maker(&self, asked: &Asked, among: &[Place]) -> Result<Option<Place>, Failure> {
        let one = |place: Place, what: &str| match among.contains(&place) {
            true => Ok(Some(place)),
            false => {
                let message = format!("{what} is of host {}, and of no other", self.names[place]);
                Err(Failure::new(
                    "wrong_host",
                    message,
                    format!("call again with `host` {}", self.names[place]),
                ))
            }
        };
        let list = || among.iter().map(|place| &*self.names[*place]).collect::<Vec<_>>().join(", ");
        if asked.tool == "apply"
            && let Some(id) = asked.args.get("plan_id").and_then(Value::as_str)
        {
            return match self.made.plan(id) {
                Some(place) => one(place, "this plan"),
                None if among.len() == 1 => Ok(None),
                None => {
                    let message = "no host has shown this plan since `provost connect` was started";
                    let next = format!(
                        "`status` lists the plans that wait; or name the host that made it: {}",
                        list()
                    );
                    Err(Failure::new("unknown_plan", message, next))
                }
            };
        }
        if asked.tool == "plan"
            && let Some(number) =
                asked.args.get("undo").and_then(|undo| undo.as_u64().or_else(|| undo.as_str()?.parse().ok()))
            && among.len() > 1
        {
            return match self.made.receipt(number).filter(|place| among.contains(place)) {
                Some(place) => Ok(Some(place)),
                None => {
                    let message = format!(
                        "every host counts its own receipts, and it is not clear whose {number} is meant"
                    );
                    let next = format!("call again with `host`, one of: {}", list());
                    Err(Failure::new("which_host", message, next))
                }
            };
        }
        Ok(None)
    }

    /// Where what it is about is, by what the hosts say; and who might have another of that name or number, and did not say.
    pub async fn target(
        self: &Arc<Self>,
        about: &About,
        among: &[Place],
    ) -> Result<(Target, Vec<Place>), Failure> {
        if !route::needs_map(about, among) {
            return Ok((self.decide(about, among, &Map::default(), &[])?, Vec::new()));
        }
        match about.is_at_once && about.guest.is_some() {
            true => self.surveyor.look_now(among).await,
            false => self.surveyor.look(among).await,
        }
        let (mut map, mut unseen) = self.surveyor.sight(among);
        let mut decided = self.decide(about, among, &map, &unseen);
        if decided.as_ref().is_err_and(|failure| failure.kind.starts_with("no_such")) {
            self.surveyor.look_again(among).await;
            (map, unseen) = self.surveyor.sight(among);
            decided = self.decide(about, among, &map, &unseen);
        }
        let target = decided?;
        if let Target::One(places) = &target
            && let Some(first) = places.first()
        {
            // A cluster gives a number once: its members have no other guest of it.
            unseen.retain(|place| !map.are_one(*place, *first));
        }
        Ok((target, unseen))
    }

    fn decide(&self, about: &About, among: &[Place], map: &Map, unseen: &[Place]) -> Result<Target, Failure> {
        route::decide(about, &Sight { map, among, names: &self.names, unseen })
    }
}

enum Way {
    One {
        places: Vec<Place>,
        note: Option<String>,
        by_guest: bool,
    },
    /// And from which row on, where a page is not the first.
    Each(Vec<Vec<Place>>, BTreeMap<String, u64>),
}

impl Way {
    fn to(places: Vec<Place>) -> Self {
        Self::One { places, note: None, by_guest: false }
    }
}

fn not_given() -> Failure {
    let message = "this state was given by no host of this fleet";
    Failure::new("request_state", message, "call again, without an answer")
}

fn bad_cursor() -> Failure {
    let next = "take `next_cursor` of the page before as it is, or leave it out for the first page";
    Failure::new("cursor", "this cursor names a host that is not among those that are asked", next)
}
