//! Who may give out, renew and take back which token.
//!
//! Root gives out any. Anybody else gives out what they have themselves: their own role, or themselves. A machine and a token
//! give out nothing. What lets somebody in is recorded before it holds, by whoever calls here; what takes it away holds at once.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::bearer::{may_give, role_for, role_of};
use super::jwt::Claims;
use super::record::{Grant, Record, Revoked, TokenId};
use super::room::{MOST_OWN, Unkept};
use super::store::{Page, Tokens};
use crate::account::Account;
use crate::config::Rate;
use crate::policy::{Peer, Policy, Principal};

/// Seconds that a token may last, and that it may be renewed for.
pub const MOST_TTL: u32 = 24 * 3600;
pub const MOST_WINDOW: u32 = 7 * 24 * 3600;
/// How often one token is renewed, and one account gives out tokens: each leaves a receipt, and a file is written anew.
const RENEWALS: Rate = Rate { calls: 6, per_s: 60 };
const ISSUES: Rate = Rate { calls: 30, per_s: 60 };

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    pub acts_as: Grant,
    pub ttl_s: u32,
    /// Seconds from now on within which it may be renewed.
    pub window_s: u32,
    /// Seconds until it begins.
    pub delay_s: u32,
}

/// A token, to be handed over once.
pub struct Issued {
    pub token: String,
    pub record: Arc<Record>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotIssued {
    #[error("there is no role \"{0}\" in the configuration")]
    NoRole(String),
    #[error("{0} is in no role, so a token of theirs could do nothing")]
    Nobody(String),
    #[error("{asked} is more than you have yourself: a token never may more than whoever gives it out{own}")]
    NotYours { asked: String, own: String },
    #[error("only a person on the node gives out tokens")]
    NoPerson,
    #[error("a token lasts from 1 s to {MOST_TTL} s, and begins and is renewed within {MOST_WINDOW} s")]
    Span,
    #[error("{0} is no account of this node (any more), so a token of theirs could do nothing")]
    NoAccount(String),
    #[error("{MOST_OWN} tokens that you gave out are good, and one account has no more")]
    Own,
    #[error("as many tokens are good as this node keeps")]
    Full,
    #[error("this is done {} times in {} s at most", .0.calls, .0.per_s)]
    Rate(Rate, u64),
    #[error("there is no such token, or it is not yours to see")]
    NoSuch,
    #[error("the token was revoked")]
    Revoked,
    #[error("the token has expired")]
    Expired,
    #[error("the time in which the token may be renewed is over")]
    Window,
    #[error("{0}")]
    Disk(String),
}

impl NotIssued {
    /// A short name that programs can compare.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoRole(_) => "no_such_role",
            Self::Nobody(_) => "no_role",
            Self::NotYours { .. } => "more_than_yours",
            Self::NoPerson => "no_person",
            Self::Span => "arguments",
            Self::NoAccount(_) => "no_account",
            Self::Own | Self::Full => "too_many_tokens",
            Self::Rate(..) => "rate",
            Self::NoSuch => "no_such_token",
            Self::Revoked => "token_revoked",
            Self::Expired => "token_expired",
            Self::Window => "refresh_window",
            Self::Disk(_) => "tokens_unreadable",
        }
    }

    /// What to do about it.
    pub fn next(&self) -> Cow<'static, str> {
        if let Self::Rate(_, wait_s) = self {
            return format!("come again in {wait_s} s").into();
        }
        self.mend().into()
    }

    fn mend(&self) -> &'static str {
        match self {
            Self::NoRole(_) => "name one that stands in provost.toml, or a user: --as user:NAME",
            Self::Nobody(_) => "an operator can name them in a [[role]] of provost.toml",
            Self::NotYours { .. } => "leave --as away, or ask root",
            Self::NoPerson => "on the node: provost token issue",
            Self::Span => "choose another time",
            Self::NoAccount(_) => "getent passwd says which accounts there are",
            Self::Own => {
                "take back what nobody needs: provost token list, provost token revoke ID; or wait until some expire"
            }
            Self::Full => {
                "who may halt takes back what nobody needs: provost token list, provost token revoke ID"
            }
            Self::Rate(..) => "come again later",
            Self::NoSuch => "provost token list says which there are",
            Self::Revoked | Self::Expired | Self::Window => "give out another: provost token issue",
            Self::Disk(_) => {
                "see the directory tokens beside the ledger's (df, ls -l), and journalctl -t provost"
            }
        }
    }
}

impl From<Unkept> for NotIssued {
    fn from(unkept: Unkept) -> Self {
        match unkept {
            Unkept::Own => Self::Own,
            Unkept::Full => Self::Full,
            Unkept::Revoked => Self::Revoked,
            Unkept::Disk(why) => Self::Disk(why),
        }
    }
}

impl Policy {
    /// What would be given out, if it may be and there is room: to be recorded, and then kept ([`Tokens::issue`]), by who has
    /// the page all the while.
    pub async fn token_for(
        &self,
        _page: &Page,
        principal: &Principal,
        wish: &Wish,
    ) -> Result<Record, NotIssued> {
        let config = self.rules.now();
        let issuer = principal.peer().ok_or(NotIssued::NoPerson)?;
        if wish.ttl_s == 0
            || wish.ttl_s > MOST_TTL
            || wish.window_s > MOST_WINDOW
            || wish.delay_s > MOST_WINDOW
        {
            return Err(NotIssued::Span);
        }
        if issuer.uid() != 0 {
            self.often("tokens given out", principal.account(), ISSUES)?;
        }
        // As the node's accounts have them: what this process was given beyond that goes into no token.
        let known = async |peer: &Peer| {
            self.tokens.people().again(peer).await.ok_or_else(|| NotIssued::NoAccount(peer.name()))
        };
        let own = || {
            let role = role_of(&config, issuer);
            role.map_or_else(String::new, |role| format!("; your own role is \"{}\"", role.name))
        };
        let giver = known(issuer).await?;
        let acts_as = match &wish.acts_as {
            Grant::Role(name) => {
                let role = config.roles.iter().find(|role| role.name == *name);
                // Who may not give it out does not learn whether it is there.
                match (role, issuer.uid()) {
                    (Some(role), _) if [issuer, &giver].iter().all(|who| may_give(&config, who, role)) => {}
                    (None, 0) => return Err(NotIssued::NoRole(name.clone())),
                    _ => return Err(NotIssued::NotYours { asked: format!("role \"{name}\""), own: own() }),
                }
                Grant::Role(name.clone())
            }
            Grant::User(peer) => {
                // Root says who somebody is; of anybody else the kernel does.
                if issuer.uid() != 0 && peer != issuer {
                    return Err(NotIssued::NotYours { asked: peer.name(), own: own() });
                }
                let user = known(peer).await?;
                role_of(&config, &user).ok_or_else(|| NotIssued::Nobody(peer.name()))?;
                Grant::User(user)
            }
        };
        self.tokens.has_room(issuer.uid())?;
        let id =
            TokenId::random().ok_or_else(|| NotIssued::Disk("the kernel gives no random bits".into()))?;
        let now = now();
        Ok(Record {
            id,
            acts_as,
            issuer: giver,
            issued: now,
            ttl_s: wish.ttl_s,
            expires: after(now, u64::from(wish.delay_s) + u64::from(wish.ttl_s)),
            refresh_until: after(now, wish.window_s.into()),
            refreshed: 0,
            revoked: None,
            tainted: false,
        })
    }

    /// Whether the principal may see the token, and take it back: who gave it out, whom it acts as, and who may halt.
    pub fn is_keeper_of(&self, principal: &Principal, record: &Record) -> bool {
        let Some(peer) = principal.peer() else { return false };
        let acts_as = matches!(&record.acts_as, Grant::User(user) if user.uid() == peer.uid());
        self.is_approver(principal) || record.issuer.uid() == peer.uid() || acts_as
    }

    /// Name of the role that counts for a token now.
    pub fn role_of_token(&self, record: &Record) -> Option<String> {
        let config = self.rules.now();
        let person = self.tokens.person_seen(record).filter(|_| record.revoked.is_none())?;
        role_for(&config, record, &person).map(|role| role.name.clone())
    }

    /// The token, where the principal may see it.
    pub fn token_of(&self, principal: &Principal, id: TokenId) -> Result<Arc<Record>, NotIssued> {
        let found = self.tokens.find(id).map_err(NotIssued::Disk)?;
        found.filter(|record| self.is_keeper_of(principal, record)).ok_or(NotIssued::NoSuch)
    }

    /// What the token would be, renewed by its issuer or its holder, if it may be now: to be recorded, and then kept.
    pub async fn renewed(
        &self,
        _page: &Page,
        principal: &Principal,
        id: TokenId,
    ) -> Result<Record, NotIssued> {
        let record = match principal.token() {
            Some(bearer) if bearer.id() == id => self.tokens.find(id).map_err(NotIssued::Disk)?,
            Some(_) => None,
            // Who may take back any does not thereby get any.
            None => self.tokens.find(id).map_err(NotIssued::Disk)?.filter(|record| is_own(principal, record)),
        };
        let record = record.ok_or(NotIssued::NoSuch)?;
        let now = now();
        if record.revoked.is_some() {
            return Err(NotIssued::Revoked);
        }
        if record.expires <= now {
            return Err(NotIssued::Expired);
        }
        if record.refresh_until <= now {
            return Err(NotIssued::Window);
        }
        let person = self.tokens.person(&record).await;
        let person = person.ok_or_else(|| NotIssued::NoAccount(record.person().name()))?;
        let config = self.rules.now();
        if role_for(&config, &record, &person).is_none() {
            return Err(NotIssued::Nobody(record.acts_as.to_string()));
        }
        // No form of it lasts longer than the window, and none less than one that was given out already.
        let expires = after(now, record.ttl_s.into()).min(record.refresh_until).max(record.expires);
        Ok(Record { expires, refreshed: record.refreshed + 1, ..Record::clone(&record) })
    }
}

impl Policy {
    /// Whether it may be renewed once more now. To be asked before anything else is done for it; who is refused leaves no
    /// receipt.
    pub fn may_renew(&self, id: TokenId) -> Result<(), NotIssued> {
        self.often("renewals", id.account(), RENEWALS)
    }

    fn often(&self, what: &str, account: Account, rate: Rate) -> Result<(), NotIssued> {
        self.spend(what, account, rate).map_err(|wait| NotIssued::Rate(rate, wait.as_secs() + 1))
    }
}

/// Root's hand, or whoever gave it out.
fn is_own(principal: &Principal, record: &Record) -> bool {
    principal.is_root() || principal.peer().is_some_and(|peer| peer.uid() == record.issuer.uid())
}

impl Tokens {
    /// Keeps what was recorded, and signs it.
    pub async fn issue(
        &self,
        page: Page,
        record: Record,
        delay_s: u32,
        audience: &str,
    ) -> Result<Issued, NotIssued> {
        let from = after(record.issued, delay_s.into());
        let record = self.keep(page, record).await?;
        self.signed(record, from, audience)
    }

    /// The same of one that is renewed. What was taken back meanwhile is not.
    pub async fn renew(&self, page: Page, record: Record, audience: &str) -> Result<Issued, NotIssued> {
        let record = self.keep(page, record).await?;
        self.signed(record, now(), audience)
    }

    /// Takes it back. It holds though the disk does not take it: then a restart would give it back, and that is said.
    pub async fn take_back(&self, id: TokenId, by: String) -> Result<(), String> {
        self.revoke(id, Revoked { at: Timestamp::now(), by }).await
    }

    fn signed(&self, record: Arc<Record>, from: Timestamp, audience: &str) -> Result<Issued, NotIssued> {
        let (from, until) = (from.as_second(), record.expires.as_second());
        let now = Timestamp::now().as_second();
        let claims = Claims::new(record.id, record.refreshed, audience, from, until, now);
        let token = self.sign(&claims).map_err(NotIssued::Disk)?;
        Ok(Issued { token, record })
    }
}

/// In whole seconds, as tokens have them.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

fn after(from: Timestamp, seconds: u64) -> Timestamp {
    from.saturating_add(SignedDuration::from_secs(seconds as i64)).unwrap_or(from)
}
