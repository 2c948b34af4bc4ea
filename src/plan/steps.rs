//! Plans of several calls: what each would do, what they do together, and each looked at once more right before it is sent.
//!
//! Only an undo has more than one: what one call took apart may take several to put together. They are made in their
//! order, and the first that fails is the last that is tried.

use super::blast::{self, Change, Found};
use super::eyes::Eyes;
use super::fields::Effect;
use super::observe::{Observed, observe};
use super::risk::{Risk, risk};
use super::shape::{self, Shape};
use super::undo::{self, Undo, Way};
use super::{Desk, Refused, Request, effects, holds};
use crate::policy::{Leave, Needs};

/// One call, thought through.
pub struct Thought {
    pub shape: Shape,
    pub observed: Observed,
    pub effects: Vec<Effect>,
    pub no_op: Option<String>,
    pub found: Found,
    pub undo: Undo,
    pub risk: Risk,
}

pub async fn think(desk: &Desk, eyes: &Eyes, request: &Request) -> Result<Thought, Refused> {
    let shape = shape_of(eyes, request);
    let observed = observe(eyes, request, &shape).await?;
    let effects = effects::effects(&eyes.catalog, request, &shape, &observed);
    let no_op = effects::nothing(request, &shape, &effects);
    let undo = undo::undo(&eyes.catalog, request, &shape, &observed);
    let view = desk.world().view(eyes, request).await;
    let found = blast::radius(Change { request, observed: &observed, effects: &effects }, &view);
    let risk = risk(request, &undo, &found, no_op.is_some());
    Ok(Thought { shape, observed, effects, no_op, found, undo, risk })
}

fn shape_of(eyes: &Eyes, request: &Request) -> Shape {
    let endpoint = eyes.catalog.template(request.method(), request.template());
    endpoint.map_or(Shape::Act, |endpoint| shape::of(&eyes.catalog, endpoint))
}

/// What the calls of a plan do together: the first one's thought takes in all others'.
pub fn together(mut first: Thought, others: Vec<Thought>) -> Thought {
    if others.is_empty() {
        return first;
    }
    let mut lost = std::mem::take(&mut first.undo.lost);
    let mut no_way: Vec<String> = Vec::new();
    for other in others {
        first.effects.extend(other.effects);
        first.no_op = first.no_op.take().filter(|_| other.no_op.is_some());
        first.found.not_seen.retain(|said| !other.found.not_seen.contains(said));
        first.found.not_seen.extend(other.found.not_seen);
        first.found.hits.extend(other.found.hits);
        first.risk.level = first.risk.level.max(other.risk.level);
        first.risk.reasons.retain(|said| !other.risk.reasons.contains(said));
        first.risk.reasons.extend(other.risk.reasons);
        lost.extend(other.undo.lost);
        no_way.extend((other.undo.way == Way::None).then_some(other.undo.why));
    }
    let mut seen = std::collections::BTreeSet::new();
    first.found.hits.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.object.cmp(&b.object)));
    first.found.hits.retain(|hit| seen.insert((hit.object.clone(), hit.severity)));
    no_way.extend((first.undo.way == Way::None).then(|| first.undo.why.clone()));
    lost.extend(no_way);
    first.undo = Undo {
        way: Way::InverseCall,
        why: "each of its calls is taken back, the last first".to_owned(),
        lost,
        call: first.undo.call,
        then: Vec::new(),
    };
    first
}

/// What all of a plan's calls need.
pub fn needs(leaves: &[Leave]) -> Needs {
    let mut all: Option<(Vec<String>, bool, Vec<crate::config::How>)> = None;
    for leave in leaves {
        let Needs::Approval { because, self_approval, how } = leave.needs() else { continue };
        let (said, own, ways) = all.get_or_insert_with(|| (Vec::new(), *self_approval, how.clone()));
        said.retain(|why| !because.contains(why));
        said.extend(because.iter().cloned());
        *own &= self_approval;
        ways.retain(|way| how.contains(way));
    }
    match all {
        Some((because, self_approval, how)) => Needs::Approval { because, self_approval, how },
        None => Needs::Nothing,
    }
}

/// A call after the first, looked at a moment before it is sent.
pub struct Ready {
    pub digest: Option<String>,
    pub undo: Undo,
}

pub async fn ready(eyes: &Eyes, request: &Request) -> Result<Ready, Refused> {
    let shape = shape_of(eyes, request);
    let observed = observe(eyes, request, &shape).await?;
    holds::holds(request, &shape, &observed)?;
    let undo = undo::undo(&eyes.catalog, request, &shape, &observed);
    Ok(Ready { digest: observed.digest, undo })
}
