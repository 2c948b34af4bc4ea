//! Why an answer to a plan is not taken, and why a plan is not let through.

use jiff::Timestamp;

use crate::config::How;

/// Why a person's answer was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// Of a plan that there is not, and of one that is not the asker's to know: one and the same.
    #[error("no plan with that id waits for an answer of yours")]
    NoSuch,
    #[error("you asked for this plan yourself, and your role does not let you approve what you ask for")]
    Own,
    #[error("you are not among those who decide: root, and the members of [approval] in provost.toml")]
    NotApprover,
    #[error("the plan expired at {at}, and nobody had answered; that is a no")]
    Expired { at: Timestamp },
    #[error("the plan was withdrawn by who asked for it")]
    Withdrawn,
    #[error("the plan was {} already, by {by}", if *yes { "approved" } else { "denied" })]
    Decided { yes: bool, by: String },
    #[error("somebody else's answer to the plan is being recorded")]
    Deciding,
    #[error("what was shown to you is not the plan that waits")]
    Another,
    #[error("the role that asked takes no answer by {}", how.name())]
    How { how: How },
}

impl Undecided {
    /// A short name that programs can compare.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoSuch => "no_such_plan",
            Self::Own => "self_approval",
            Self::NotApprover => "not_an_approver",
            Self::Expired { .. } => "plan_expired",
            Self::Withdrawn => "plan_withdrawn",
            Self::Decided { .. } => "already_decided",
            Self::Deciding => "being_decided",
            Self::Another => "another_plan",
            Self::How { .. } => "another_way",
        }
    }

    /// What to do about it.
    pub fn next(&self) -> &'static str {
        match self {
            Self::NoSuch => {
                "`provost plans` lists those that you may know of. A plan is forgotten when the daemon starts again; who \
                 asked for it makes it anew"
            }
            Self::Own => {
                "somebody else decides: root, or a member of [approval]; or the operator sets self_approval = true for the \
                 role"
            }
            Self::NotApprover => "the operator can name you in members of [approval]",
            Self::Expired { .. } => "who asked for it makes the plan anew",
            Self::Decided { .. } | Self::Withdrawn => {
                "`provost audit query --plan ID` shows the receipt of that"
            }
            Self::Deciding => "look again: provost plans",
            Self::Another => "run it again, and read what it shows",
            Self::How { .. } => "the operator can name it in approve_by of the role in provost.toml",
        }
    }
}

/// Why a change that needs a yes does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotApproved {
    /// Of no such plan, and of somebody else's.
    #[error(
        "no approval of plan {plan} is known: it was not asked for by you, or the daemon has started again, which \
         forgets every plan"
    )]
    Unknown { plan: String },
    #[error("the approval of plan {plan} is for another content than this")]
    Another { plan: String },
    #[error("it waits for a person's yes until {until} ({})", because.join("; "))]
    Waiting { plan: String, because: Vec<String>, by: String, until: Timestamp },
    #[error("{by} said no")]
    Refused { by: String },
    #[error("nobody had said yes and applied it when it expired at {at}")]
    Expired { at: Timestamp },
    #[error("it was withdrawn by who asked for it")]
    Withdrawn,
    #[error("its approval was used already: a plan is applied once")]
    Used,
    #[error("it was approved by who asked for it, which the role does not allow any more")]
    Own,
    #[error("it was approved by {}, which the role does not take any more", how.name())]
    How { how: How },
}

impl NotApproved {
    /// A short name that programs can compare.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "no_such_plan",
            Self::Another { .. } => "another_plan",
            Self::Waiting { .. } => "needs_approval",
            Self::Refused { .. } => "denied_by_person",
            Self::Expired { .. } => "plan_expired",
            Self::Withdrawn => "plan_withdrawn",
            Self::Used => "already_applied",
            Self::Own => "self_approval",
            Self::How { .. } => "another_way",
        }
    }

    /// What to do about it.
    pub fn next(&self) -> String {
        match self {
            Self::Waiting { plan, .. } => format!(
                "somebody other than you runs on the node: provost approve {plan}; then apply it again. No answer is a no"
            ),
            Self::Refused { .. } => "ask that person why before planning it again".into(),
            _ => "plan it again".into(),
        }
    }
}
