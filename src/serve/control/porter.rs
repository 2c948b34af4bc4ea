//! What operators ask, answered: by policy, from the kernel's word for who asks, with a receipt of every decision.
//!
//! What lets something happen is recorded before it holds. What stops something holds at once, and is recorded then.

use serde::Serialize;

use crate::control::{
    Ask, Catalogue, Decided, Examined, Halted, Line, Plans, Refused, Reply, Running, Shown, Switched,
};
use crate::ledger::receipt::body::{self, Body};
use crate::ledger::{Decision as Ruling, Entry, Ledger, Unrecorded, Who};
use crate::policy::approval::{Held, How, Standing};
use crate::policy::{self, Policy, Principal, Undecided, role};
use crate::serve::crowd::Crowds;

/// The node that is asked about.
pub trait Node {
    /// PVE's tasks that have not ended, or why they are not known.
    fn running(&self) -> impl Future<Output = Result<Vec<Running>, String>> + Send;
    fn catalogue(&self) -> Catalogue;
    /// How the daemon stands, its tokens tried.
    fn examined(&self) -> impl Future<Output = Examined> + Send;
}

impl Node for crate::tools::Provost {
    fn running(&self) -> impl Future<Output = Result<Vec<Running>, String>> + Send {
        Self::running(self)
    }

    fn catalogue(&self) -> Catalogue {
        Self::catalogue(self)
    }

    fn examined(&self) -> impl Future<Output = Examined> + Send {
        Self::examined(self)
    }
}

pub struct Porter<'a, N> {
    pub policy: &'a Policy,
    pub ledger: &'a Ledger,
    pub node: &'a N,
    /// Whose refusals are many.
    pub refused: &'a Crowds,
}

pub fn refused(kind: &str, message: impl Into<String>, next: impl Into<String>) -> Refused {
    Refused { kind: kind.into(), message: message.into(), next: next.into() }
}

impl From<Unrecorded> for Refused {
    fn from(error: Unrecorded) -> Self {
        refused(error.kind(), error.to_string(), error.next())
    }
}

impl From<Undecided> for Refused {
    fn from(error: Undecided) -> Self {
        refused(error.kind(), error.to_string(), error.next())
    }
}

impl<N: Node> Porter<'_, N> {
    pub async fn answer(&self, principal: &Principal, ask: Ask) -> Reply {
        let answered = match ask {
            Ask::Halt { why } => self.halt(principal, &why).await.map(json),
            Ask::Resume { why } => self.resume(principal, &why).await.map(json),
            Ask::Plans {} => Ok(json(self.plans(principal))),
            Ask::Plan { id } => self.plan(principal, &id).map(json),
            Ask::Decide { id, sha256, approve, why } => {
                self.decide(principal, &id, &sha256, approve, &why).await.map(json)
            }
            Ask::Catalogue {} => Ok(json(self.node.catalogue())),
            Ask::Examine {} => self.examined(principal).await.map(json),
            Ask::Walls {} => Ok(json(crate::sandbox::walls())),
            Ask::IssueToken { acts_as, ttl_s, window_s, delay_s } => {
                self.issue(principal, acts_as, ttl_s, window_s, delay_s).await.map(json)
            }
            Ask::RefreshToken { id } => self.refresh(principal, &id).await.map(json),
            Ask::Tokens {} => self.tokens(principal).map(json),
            Ask::RevokeToken { id, why } => self.revoke(principal, &id, &why).await.map(json),
        };
        answered.map_or_else(Reply::Refused, Reply::Done)
    }

    async fn halt(&self, principal: &Principal, why: &str) -> Result<Switched, Refused> {
        self.may_switch(principal, "halt").await?;
        let stood = self.policy.halt.now().is_some();
        let (halted, mut note) = match self.policy.halt.halt(&principal.to_string(), why) {
            Ok(halted) => (halted, None),
            Err((halted, error)) => (halted, Some(error.to_string())),
        };
        tracing::warn!(provost_principal = %principal, "halted every change and command: {}", halted.why);
        if !stood {
            let entry = Entry {
                why: Some(halted.why.as_str().into()),
                ..self.entry(principal, body::Halt { halted: true })
            };
            if let Err(error) = self.ledger.append_durable(entry).await {
                let unrecorded = format!("the halt holds, and is not recorded: {error}");
                note = Some(note.map_or(unrecorded.clone(), |note| format!("{note}; {unrecorded}")));
            }
        }
        let (running, unseen) = self.running().await;
        Ok(Switched { halted: Some(shown(halted)), lifted: None, running, unseen, note })
    }

    async fn resume(&self, principal: &Principal, why: &str) -> Result<Switched, Refused> {
        self.may_switch(principal, "resume").await?;
        let mut lifted = None;
        if self.policy.halt.now().is_some() {
            let entry = self.entry(principal, body::Halt { halted: false });
            self.ledger.append_durable(Entry { why: text(why), ..entry }).await?;
            lifted = match self.policy.halt.resume() {
                Ok(lifted) => lifted,
                Err(error) => {
                    let still = self.entry(principal, body::Halt { halted: true });
                    let _ = self.ledger.append(Entry { why: Some(error.to_string().into()), ..still }).await;
                    return Err(refused(
                        "still_halted",
                        error.to_string(),
                        "see the directory of the ledger's",
                    ));
                }
            };
            tracing::warn!(provost_principal = %principal, "changes and commands go on: {why}");
        }
        let (running, unseen) = self.running().await;
        Ok(Switched { halted: None, lifted: lifted.map(shown), running, unseen, note: None })
    }

    /// Refuses who may not halt or resume, and records it.
    async fn may_switch(&self, principal: &Principal, verb: &str) -> Result<(), Refused> {
        if self.policy.is_approver(principal) {
            return Ok(());
        }
        let error = Undecided::NotApprover;
        let why = format!("{verb}: {error}");
        self.refusal(principal, error.kind(), &why, error.next(), None).await;
        Err(error.into())
    }

    fn plans(&self, principal: &Principal) -> Plans {
        let plans = self.policy.plans(principal);
        Plans { halted: self.policy.halt.now().map(shown), plans: plans.iter().map(line).collect() }
    }

    fn plan(&self, principal: &Principal, id: &str) -> Result<Shown, Refused> {
        let plans = self.policy.plans(principal);
        let held = plans.iter().find(|held| held.request.plan == id).ok_or(Undecided::NoSuch)?;
        let (text, sha256) = (held.request.text.clone(), held.request.sha256.clone());
        Ok(Shown { line: line(held), text, sha256 })
    }

    async fn decide(
        &self,
        principal: &Principal,
        id: &str,
        sha256: &str,
        yes: bool,
        why: &str,
    ) -> Result<Decided, Refused> {
        let claim = match self.policy.decide(principal, id, sha256, yes, How::Terminal) {
            Ok(claim) => claim,
            Err(error) => {
                self.refusal(principal, error.kind(), &error.to_string(), error.next(), Some(id)).await;
                return Err(error.into());
            }
        };
        let asked_by = claim.request().who.clone();
        let decision = policy::record(self.ledger, claim, self.who(principal), text(why)).await?;
        let receipt = decision.receipt;
        let halted = self.policy.halt.now().is_some();
        Ok(Decided { id: id.to_owned(), approved: decision.yes, asked_by, receipt, halted })
    }

    /// For who decides, and who is in a role: what tokens may is not for everybody on the node.
    async fn examined(&self, principal: &Principal) -> Result<Examined, Refused> {
        if self.policy.is_approver(principal) || role(&self.policy.rules.now(), principal).is_some() {
            return Ok(self.node.examined().await);
        }
        Err(refused(
            "not_yours",
            "how the daemon stands is told to root, to members of [approval] and to whoever is in a role",
            "try as root",
        ))
    }

    async fn running(&self) -> (Vec<Running>, Option<String>) {
        match self.node.running().await {
            Ok(running) => (running, None),
            Err(why) => (Vec::new(), Some(why)),
        }
    }

    pub(super) async fn refusal(
        &self,
        principal: &Principal,
        code: &str,
        why: &str,
        next: &str,
        plan: Option<&str>,
    ) {
        // Anybody may knock, as often as they like: what they are refused fills no disk.
        let Some(others) = self.refused.one_more(principal.account()) else { return };
        let why = Crowds::among(others, why);
        tracing::warn!(provost_principal = %principal, provost_decision = "refused", kind = code, "{why}");
        let refusal = body::Refusal { args: None, argv: None, code: code.into(), next: Some(next.into()) };
        let entry = Entry {
            decision: Some(Ruling::Refused),
            why: Some(why.as_str().into()),
            // What is no id was typed by anybody.
            plan: plan
                .filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
                .map(Into::into),
            ..self.entry(principal, refusal)
        };
        if let Err(error) = self.ledger.append(entry).await {
            tracing::error!(%error, "a refusal was not recorded");
        }
    }

    pub(super) fn entry(&self, principal: &Principal, body: impl Into<Body>) -> Entry {
        Entry { principal: Some(self.who(principal)), ..Entry::of(body) }
    }

    fn who(&self, principal: &Principal) -> Who {
        principal.who(role(&self.policy.rules.now(), principal))
    }
}

fn json(answer: impl Serialize) -> serde_json::Value {
    serde_json::to_value(answer).expect("texts and numbers are JSON")
}

pub(super) fn text(why: &str) -> Option<crate::ledger::receipt::Clean> {
    (!why.is_empty()).then(|| why.into())
}

fn shown(halted: policy::Halted) -> Halted {
    Halted { by: halted.by, since: halted.since, why: halted.why }
}

fn line(held: &Held) -> Line {
    let request = &held.request;
    let (state, decision) = match &held.standing {
        Standing::Waiting => ("waiting", None),
        Standing::Deciding => ("deciding", None),
        Standing::Decided(decision) if decision.yes => ("approved", Some(decision)),
        Standing::Decided(decision) => ("denied", Some(decision)),
        Standing::Used(decision) => ("applied", Some(decision)),
        Standing::Withdrawn { .. } => ("withdrawn", None),
        Standing::Expired => ("expired", None),
    };
    Line {
        id: request.plan.clone(),
        state: state.into(),
        asked_by: request.who.clone(),
        role: request.role.clone(),
        endpoint: request.endpoint.clone(),
        guest: request.guest,
        summary: request.summary.clone(),
        because: request.because.clone(),
        expires: request.expires_at,
        decided_by: decision.map(|decision| decision.by.clone()),
        decided_at: decision.map(|decision| decision.at),
        receipt: match held.standing {
            Standing::Withdrawn { receipt } => receipt,
            _ => decision.map_or(request.receipt, |decision| decision.receipt),
        },
    }
}
