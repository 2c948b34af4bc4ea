//! What a change would do, before anybody makes it.
//!
//! In: a call in words or by its path, or the receipt of a change to take back; who asks. Out: a [`Plan`], which says
//! what it would do, to whom, at what risk, with what way back, and what it still needs; or a [`Refused`]. It must never
//! change anything: the client that it is handed only reads.
//!
//! | file | what it does |
//! | --- | --- |
//! | `words`, `doubt` | words to a call; why they are none, though one was found |
//! | `request`, `reach` | the call, checked; every guest that it reaches |
//! | `shape`, `eyes`, `observe` | what kind of change it is; what is there now |
//! | `named` | of a list, the rows that a call names |
//! | `effects`, `fields` | before → after, field by field |
//! | `outlook` | whether a call has been carried out, by how things are |
//! | [`undo`] | the way back |
//! | [`blast`] | who is hit |
//! | `holds` | what PVE would refuse anyway: locks, protection, HA |
//! | [`risk`] | how much it can cost |
//! | [`snapshot`] | the snapshot of a guest, where nothing else gives a way back |
//! | `view` | the plan as it is shown |
//! | `consent` | what policy says of it, and whether a person has to |
//! | `store`, `id` | the plans that wait |
//! | `back` | the undo of a receipt |
//! | [`steps`] | plans of several calls |

mod asked;
mod back;
pub mod blast;
mod consent;
mod doubt;
mod effects;
mod error;
pub mod eyes;
mod fields;
mod holds;
mod id;
mod named;
mod observe;
mod outlook;
mod own;
mod reach;
mod request;
pub mod risk;
mod shape;
mod since;
pub mod snapshot;
pub mod steps;
mod store;
pub mod undo;
mod view;
mod words;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

pub(crate) use asked::Asked;
pub(crate) use consent::{await_person, foresee, leaves, wanted};
pub use error::Refused;
pub use eyes::Eyes;
pub use fields::Effect;
pub use id::PlanId;
pub use observe::{Guest, Observed};
pub use outlook::{Outlook, outlook};
pub use request::{Ask, Request};
pub use store::{Claim, Kept, LIFETIME, Limits, Store};
pub use view::{View, shown};

use crate::account::Account;
use crate::catalog::Catalog;
use crate::catalog::find::Finders;
use crate::ledger::receipt::{Clean, Json, body};
use crate::ledger::tree::sha256_hex;
use crate::ledger::{Decision, Entry, Ledger, Seq, Who};
use crate::policy::{Leave, Needs, Policy, Principal};
use blast::{Change, Found, World};
use risk::Risk;
use shape::Shape;
use undo::Undo;

/// What planning and applying share between all sessions.
pub struct Desk {
    world: World,
    ledger: Ledger,
    pub plans: Store<Plan>,
    /// What turns words into calls.
    finders: Arc<Finders>,
    /// Changes that are being made.
    under_way: TaskTracker,
    /// The catalogue over which the profiles' promises were checked last.
    promised: Mutex<Weak<Catalog>>,
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Asker {
    pub account: Account,
    /// Of a token: the account behind it.
    pub behind: Option<Account>,
    /// As people are shown.
    pub name: String,
    /// As receipts have it.
    pub who: Who,
    /// Whether the session has read what guests wrote.
    pub taint: bool,
}

/// What is wished for.
#[derive(Clone)]
pub enum Wish {
    Call(Ask),
    /// The change of this receipt, taken back.
    Undo(Seq),
}

/// Whether a snapshot is taken where nothing else gives a way back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Snapshot {
    #[default]
    WhereNeeded,
    None,
}

/// A change, thought through.
pub struct Plan {
    pub id: PlanId,
    pub asker: Asker,
    pub request: Request,
    pub shape: Shape,
    /// The calls that follow it, each once the one before is done.
    pub then: Vec<Request>,
    /// What it rests on.
    pub observed: Observed,
    pub fingerprint: String,
    pub effects: Vec<Effect>,
    /// All who are hit, those that are not listed too, and each as it was found: what is shown is cut and cleaned.
    pub hits: BTreeSet<blast::Hit>,
    pub undo: Undo,
    /// The snapshot to take first.
    pub snapshot: Option<String>,
    /// The receipt that it takes back.
    pub undoes: Option<Seq>,
    /// Its own receipt.
    pub receipt: Seq,
    /// Of the plan as it is shown, in canonical form.
    pub sha256: String,
    /// As it is shown.
    pub shown: Map<String, Value>,
    /// The same in a few lines.
    pub summary: Vec<String>,
    pub expires: tokio::time::Instant,
    /// The same by the clock on the wall.
    pub expires_at: jiff::Timestamp,
    /// What it takes of the memory, about.
    pub bytes: usize,
}

/// Without what it holds: secrets are among it.
impl store::Kept for Plan {
    fn id(&self) -> PlanId {
        self.id
    }

    fn account(&self) -> Account {
        self.asker.account
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "plan {}: {:?}", self.id, self.request)
    }
}

/// All of a plan but its name.
pub struct Draft {
    pub asker: Asker,
    pub request: Request,
    pub then: Vec<Request>,
    pub shape: Shape,
    /// The role that may.
    pub role: String,
    pub needs: Needs,
    pub observed: Observed,
    pub effects: Vec<Effect>,
    pub no_op: Option<String>,
    pub found: Found,
    pub warnings: Vec<String>,
    pub undo: Undo,
    pub snapshot: Option<String>,
    pub undoes: Option<Seq>,
    pub risk: Risk,
}

impl Desk {
    pub fn new(world: World, ledger: Ledger, finders: Arc<Finders>, limits: Limits) -> Self {
        let promised = Mutex::default();
        Self { world, ledger, plans: Store::new(limits), finders, under_way: TaskTracker::new(), promised }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Runs a change to its end, whoever listens.
    pub(crate) fn carry<F>(&self, change: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.under_way.spawn(change)
    }

    /// Waits for the changes that are being made, or for `patience`: the next start finds out about the others.
    pub async fn settle(&self, patience: Duration) {
        self.under_way.close();
        if tokio::time::timeout(patience, self.under_way.wait()).await.is_err() {
            tracing::warn!(
                changes = self.under_way.len(),
                "changes go on on the node, and nobody here follows them"
            );
        }
    }

    /// Plans what is wished for, leaves a receipt, and keeps the plan. What is refused leaves a receipt too.
    pub async fn plan(
        &self,
        policy: &Policy,
        principal: &Principal,
        asker: Asker,
        eyes: &Eyes,
        wish: Wish,
        snapshot: Snapshot,
    ) -> Result<Arc<Plan>, Refused> {
        let mut asked = Asked { asker, ..Asked::default() };
        match self.think(policy, principal, &mut asked, eyes, wish, snapshot).await {
            Ok(plan) => Ok(plan),
            Err(refused) => {
                self.refused("plan", &asked, &refused).await;
                Err(refused)
            }
        }
    }

    async fn think(
        &self,
        policy: &Policy,
        principal: &Principal,
        asked: &mut Asked,
        eyes: &Eyes,
        wish: Wish,
        snapshot: Snapshot,
    ) -> Result<Arc<Plan>, Refused> {
        asked.note(&wish);
        self.promise(&eyes.catalog)?;
        let mut since = Vec::new();
        let (request, then, undoes) = match wish {
            Wish::Call(ask) => {
                let sight = policy.read(principal)?;
                let ask = words::to_path(eyes, &self.finders, ask, |vmid| sight.includes(vmid)).await?;
                self.closed(policy, principal, asked, eyes, &ask)?;
                (Request::read(eyes, ask).await?, Vec::new(), None)
            }
            Wish::Undo(seq) => {
                // Who sees only some of the receipts takes back their own.
                let everybody = policy.read(principal)?.sees_everybody();
                let own = (!everybody).then_some(asked.asker.account);
                let back = back::requests(eyes, &self.ledger, seq, own).await?;
                since = back.warnings;
                (back.first, back.then, Some(seq))
            }
        };
        asked.request = Some(request.clone());
        let leaves = leaves(policy, principal, &request, &then, asked.asker.taint)?;
        let draft = draft(self, eyes, asked.asker.clone(), request, then, &leaves, undoes).await?;
        let mut draft = snapshot::with_snapshot(policy, principal, eyes, draft, snapshot).await?;
        draft.warnings.extend(since);
        let needs = draft.needs.clone();
        let plan = Arc::new(self.record(draft).await?);
        self.plans.keep(plan.clone())?;
        await_person(policy, &plan, leaves.first().map_or("", Leave::role), &needs)?;
        Ok(plan)
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// The receipt that makes it a plan.
    async fn record(&self, draft: Draft) -> Result<Plan, Refused> {
        let id = PlanId::random()?;
        let expires_at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(LIFETIME.as_secs() as i64);
        let view = view::view(&draft, id, expires_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        let Ok(Value::Object(shown)) = serde_json::to_value(&view) else {
            return Err(Refused::NoPlan { id: id.to_string() });
        };
        let canonical = crate::ledger::canonical::canonical(Value::Object(shown.clone()));
        let sha256 = sha256_hex(canonical.get().as_bytes());
        let request = &draft.request;
        let template = request.template();
        let of = |name: &str| Json::of(template, shown.get(name).cloned().unwrap_or(Value::Null));
        let entry = Entry {
            principal: Some(draft.asker.who.clone()),
            tool: Some("plan"),
            guest: request.guest().or_else(|| only(&request.guests)),
            endpoint: Some(request.endpoint().into()),
            decision: Some(match draft.needs {
                Needs::Nothing => Decision::Allowed,
                Needs::Approval { .. } => Decision::Held,
            }),
            why: None,
            plan: Some(id.to_string().into()),
            body: body::Plan {
                args: Json::of(template, Value::Object(request.args.clone())),
                blast_radius: of("blast_radius"),
                digest: draft.observed.digest.as_deref().map(Clean::of),
                effects: of("effects"),
                expires: view.expires.as_str().into(),
                needs: of("needs"),
                risk: format!("{:?}: {}", draft.risk.level, draft.risk.reasons.join("; "))
                    .to_lowercase()
                    .into(),
                sha256: sha256.clone(),
                tier: view.tier.into(),
                undo: of("undo"),
            }
            .into(),
        };
        let receipt = self.ledger.append_durable(entry).await?;
        let summary = view::summary(&draft);
        let fingerprint = draft.observed.fingerprint();
        let bytes = canonical.get().len() * 3 + size(&draft);
        let Draft { asker, request, then, shape, observed, effects, found, undo, snapshot, undoes, .. } =
            draft;
        Ok(Plan {
            id,
            asker,
            request,
            shape,
            then,
            observed,
            fingerprint,
            effects,
            hits: found.hits.into_iter().collect(),
            undo,
            snapshot,
            undoes,
            receipt,
            sha256,
            shown,
            summary,
            expires: tokio::time::Instant::now() + LIFETIME,
            expires_at,
            bytes,
        })
    }
}

/// What a request would do, and those that follow it.
async fn draft(
    desk: &Desk,
    eyes: &Eyes,
    asker: Asker,
    request: Request,
    then: Vec<Request>,
    leaves: &[Leave],
    undoes: Option<Seq>,
) -> Result<Draft, Refused> {
    let first = steps::think(desk, eyes, &request).await?;
    let mut warnings = holds::holds(&request, &first.shape, &first.observed)?;
    let mut others = Vec::new();
    for step in &then {
        others.push(steps::think(desk, eyes, step).await?);
    }
    let steps::Thought { shape, observed, effects, no_op, found, undo, risk } =
        steps::together(first, others);
    warnings.extend(own::warning(&asker, &request.guests, &found.hits));
    Ok(Draft {
        asker,
        request,
        then,
        shape,
        role: leaves.first().map(|leave| leave.role().to_owned()).unwrap_or_default(),
        needs: steps::needs(leaves),
        observed,
        effects,
        no_op,
        found,
        warnings,
        undo,
        snapshot: None,
        undoes,
        risk,
    })
}

/// Who is hit by a request, against a view that somebody else gathered.
pub fn radius(catalog: &Catalog, request: &Request, observed: &Observed, view: &blast::View) -> Found {
    let endpoint = catalog.template(request.method(), request.template());
    let shape = endpoint.map_or(Shape::Act, |endpoint| shape::of(catalog, endpoint));
    let effects = effects::effects(catalog, request, &shape, observed);
    blast::radius(Change { request, observed, effects: &effects }, view)
}

/// The guests that a request reaches now.
pub(crate) async fn reached(eyes: &Eyes, request: &Request) -> Result<Vec<u32>, Refused> {
    reach::guests(eyes, request).await
}

/// Who would be hit by it now.
pub(crate) async fn thought(desk: &Desk, eyes: &Eyes, request: &Request) -> Result<Vec<blast::Hit>, Refused> {
    Ok(steps::think(desk, eyes, request).await?.found.hits)
}

/// Looks again at what a plan rests on.
pub async fn observed_again(eyes: &Eyes, plan: &Plan) -> Result<Observed, Refused> {
    observe::observe(eyes, &plan.request, &plan.shape).await
}

pub(crate) fn only(guests: &[u32]) -> Option<u32> {
    match guests {
        [guest] => Some(*guest),
        _ => None,
    }
}

fn size(draft: &Draft) -> usize {
    let subject = match &draft.observed.subject {
        Some(eyes::Seen::There(value)) => value.to_string().len(),
        _ => 0,
    };
    let config = draft.observed.guest.as_ref().map_or(0, |guest| json!(guest.config).to_string().len());
    let args = std::iter::once(&draft.request).chain(&draft.then);
    let args: usize = args.map(|request| json!(request.args).to_string().len() + 256).sum();
    let hits: usize = draft.found.hits.iter().map(|hit| hit.object.len() + hit.why.len() + 96).sum();
    // A value in memory is several times its text.
    4 * (subject + config + args) + hits
}

/// `text` with the request's arguments in its braces: `{name}`, or `{a|b}` for the first that was given. None where one
/// was not.
pub(crate) fn fill(text: &str, request: &Request) -> Option<String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (names, after) = after.split_once('}')?;
        filled.push_str(before);
        filled.push_str(&names.split('|').find_map(|name| request.text(name))?);
        rest = after;
    }
    filled.push_str(rest);
    Some(filled)
}
