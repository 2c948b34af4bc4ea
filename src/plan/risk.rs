//! How much a plan can cost, and why it is thought so.

use serde::Serialize;

use super::Request;
use super::blast::{Found, Severity};
use super::undo::{Undo, Way};
use crate::catalog::tier::Tier;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Low,
    Medium,
    High,
    Critical,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Risk {
    pub level: Level,
    pub reasons: Vec<String>,
}

/// The grounds of the tier, raised by what cannot be taken back, what is hit, and what nobody looked at.
pub fn risk(request: &Request, undo: &Undo, found: &Found, nothing: bool) -> Risk {
    if nothing {
        return Risk { level: Level::Low, reasons: vec!["nothing would change".to_owned()] };
    }
    let mut reasons: Vec<String> = Vec::new();
    let mut points: u8 = 0;
    for ground in request.judgement.grounds() {
        points = points.max(weight(ground.tier));
        reasons.push(format!("{}: {}", name(ground.tier), ground.why));
    }
    let cheap = points == 0;
    if undo.way == Way::None && !cheap {
        points += 1;
        reasons.push(format!("it cannot be taken back: {}", undo.why));
    }
    if let Some(worst) = found.hits.iter().map(|hit| hit.severity).max() {
        if worst == Severity::DataLost {
            points = points.max(3);
        }
        let count = found.hits.iter().map(|hit| &hit.object).collect::<std::collections::BTreeSet<_>>().len();
        reasons.push(match count {
            1 => "one object is hit".to_owned(),
            count => format!("{count} objects are hit"),
        });
    }
    if !found.not_seen.is_empty() && !cheap {
        points += 1;
        reasons.extend(found.not_seen.iter().cloned());
    }
    let level = match points {
        0 => Level::Low,
        1 => Level::Medium,
        2 => Level::High,
        _ => Level::Critical,
    };
    Risk { level, reasons }
}

fn weight(tier: Tier) -> u8 {
    match tier {
        Tier::Read | Tier::Reversible | Tier::Additive => 0,
        Tier::Change | Tier::Disruptive => 1,
        Tier::Lockout | Tier::Destructive | Tier::Host => 2,
        Tier::Held => 3,
    }
}

pub fn name(tier: Tier) -> &'static str {
    match tier {
        Tier::Read => "read",
        Tier::Reversible => "reversible",
        Tier::Additive => "additive",
        Tier::Change => "change",
        Tier::Disruptive => "disruptive",
        Tier::Lockout => "lockout",
        Tier::Destructive => "destructive",
        Tier::Host => "host",
        Tier::Held => "held",
    }
}
