//! Tokens for the HTTP door: given out, renewed, listed, taken back, with a receipt of each.

use jiff::Timestamp;

use super::porter::{Node, Porter, refused, text};
use crate::control::{ActsAs, GivenOut, GivenToken, Refused, TakenBack, Tokens};
use crate::ledger::receipt::{Clean, body};
use crate::ledger::{Decision, Entry};
use crate::policy::token::{Grant, NotIssued, Record, TokenId, Wish};
use crate::policy::{Peer, Policy, Principal};

impl From<NotIssued> for Refused {
    fn from(error: NotIssued) -> Self {
        refused(error.kind(), error.to_string(), error.next())
    }
}

impl<N: Node> Porter<'_, N> {
    pub(super) async fn issue(
        &self,
        principal: &Principal,
        acts_as: ActsAs,
        ttl_s: u32,
        window_s: u32,
        delay_s: u32,
    ) -> Result<GivenOut, Refused> {
        let issued = async {
            let acts_as = match acts_as {
                ActsAs::Role(name) => Grant::Role(name),
                ActsAs::Me => Grant::User(principal.peer().cloned().ok_or(NotIssued::NoPerson)?),
                ActsAs::User { uid, name, groups } => Grant::User(match principal.peer() {
                    Some(own) if own.uid() == uid => own.clone(),
                    _ => Peer::given(uid, name, groups),
                }),
            };
            let tokens = &self.policy.tokens;
            let page = tokens.page().await;
            let wish = Wish { acts_as, ttl_s, window_s, delay_s };
            let record = self.policy.token_for(&page, principal, &wish).await?;
            self.record(principal, &record, body::TokenEvent::Issued, None).await?;
            Ok(tokens.issue(page, record, delay_s, &audience(self.ledger)).await?)
        };
        let issued = self.or_refused(principal, "issue a token", issued.await).await?;
        Ok(GivenOut { about: about(self.policy, &issued.record), token: issued.token })
    }

    pub(super) async fn refresh(&self, principal: &Principal, id: &str) -> Result<GivenOut, Refused> {
        let renewed = async {
            let (tokens, id) = (&self.policy.tokens, number(id)?);
            // Only who may see it uses up what it has of renewals.
            self.policy.token_of(principal, id)?;
            self.policy.may_renew(id)?;
            let page = tokens.page().await;
            let record = self.policy.renewed(&page, principal, id).await?;
            self.record(principal, &record, body::TokenEvent::Refreshed, None).await?;
            Ok(tokens.renew(page, record, &audience(self.ledger)).await?)
        };
        let issued = self.or_refused(principal, "refresh a token", renewed.await).await?;
        Ok(GivenOut { about: about(self.policy, &issued.record), token: issued.token })
    }

    pub(super) fn tokens(&self, principal: &Principal) -> Result<Tokens, Refused> {
        let all = self.policy.tokens.all().map_err(NotIssued::Disk)?;
        let seen = all.iter().filter(|record| self.policy.is_keeper_of(principal, record));
        let http = self.policy.rules.now().listen.http.as_ref().map(ToString::to_string);
        Ok(Tokens { http, tokens: seen.map(|record| about(self.policy, record)).collect() })
    }

    /// It holds at once; that it is recorded comes after.
    pub(super) async fn revoke(
        &self,
        principal: &Principal,
        id: &str,
        why: &str,
    ) -> Result<TakenBack, Refused> {
        let found = number(id).and_then(|id| self.policy.token_of(principal, id));
        let record = self.or_refused(principal, "revoke a token", found.map_err(Into::into)).await?;
        let mut notes = Vec::new();
        if let Err(error) = self.policy.tokens.take_back(record.id, principal.to_string()).await {
            notes.push(format!(
                "it is revoked until provostd ends, and not beyond: {error}; say it again once the disk takes it"
            ));
        }
        if record.revoked.is_some() {
            let note = notes.pop();
            return Ok(TakenBack { token: about(self.policy, &record), note });
        }
        tracing::warn!(provost_principal = %principal, token = %record.id, "revoked a token: {why}");
        if let Err(error) = self.record(principal, &record, body::TokenEvent::Revoked, text(why)).await {
            notes.push(format!("it is revoked, and that is not recorded: {}", error.message));
        }
        let now = self.policy.token_of(principal, record.id).unwrap_or(record);
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        Ok(TakenBack { token: about(self.policy, &now), note })
    }

    async fn or_refused<T>(
        &self,
        principal: &Principal,
        what: &str,
        done: Result<T, Refused>,
    ) -> Result<T, Refused> {
        if let Err(error) = &done {
            let why = format!("{what}: {}", error.message);
            self.refusal(principal, &error.kind, &why, &error.next, None).await;
        }
        done
    }

    async fn record(
        &self,
        principal: &Principal,
        token: &Record,
        event: body::TokenEvent,
        why: Option<Clean>,
    ) -> Result<(), Refused> {
        let entry = self.entry(principal, receipt(token, event));
        let decision = Some(Decision::Allowed);
        self.ledger.append_durable(Entry { decision, why, ..entry }).await?;
        Ok(())
    }
}

/// What a receipt says of a token.
pub fn receipt(token: &Record, event: body::TokenEvent) -> body::Token {
    body::Token {
        acts_as: Clean::of(&token.acts_as.to_string()),
        event,
        expires: Clean::ours(token.expires.to_string()),
        refresh_until: Clean::ours(token.refresh_until.to_string()),
        token: Clean::ours(token.id.to_string()),
    }
}

/// Whom tokens are for: this node, as its ledger calls it.
pub fn audience(ledger: &crate::ledger::Ledger) -> String {
    ledger.status().origin
}

/// What may be said of a token.
pub fn about(policy: &Policy, record: &Record) -> GivenToken {
    let role = policy.role_of_token(record);
    GivenToken {
        id: record.id.to_string(),
        acts_as: record.acts_as.to_string(),
        role,
        issuer: record.issuer.name(),
        state: record.state(Timestamp::now()).into(),
        issued: record.issued,
        expires: record.expires,
        refresh_until: record.refresh_until,
        refreshed: record.refreshed,
        revoked_by: record.revoked.as_ref().map(|revoked| revoked.by.clone()),
    }
}

fn number(id: &str) -> Result<TokenId, NotIssued> {
    id.parse().map_err(|_| NotIssued::NoSuch)
}
