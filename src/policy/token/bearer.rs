//! Who holds a token, as a principal.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::live::Live;
use super::record::{Grant, Record, TokenId};
use crate::account::Account;
use crate::config::{Config, Role};
use crate::policy::{Peer, Taint};

/// Only [`super::Tokens::present`] makes one, of a token that was shown and is good.
#[derive(Debug, Clone)]
pub struct Bearer {
    record: Arc<Record>,
    live: Arc<Live>,
}

impl Bearer {
    pub(super) fn of(record: Arc<Record>, live: Arc<Live>) -> Self {
        Self { record, live }
    }

    /// Cancelled when it is taken back: what goes on by then is in no role any more.
    pub fn revoked(&self) -> &CancellationToken {
        &self.live.revoked
    }

    /// The mark of all that is done with it, which a restart does not take off.
    pub fn taint(&self) -> &Taint {
        &self.live.taint
    }

    pub fn id(&self) -> TokenId {
        self.record.id
    }

    /// `role:operator`, `user:alice`
    pub fn acts_as(&self) -> &Grant {
        &self.record.acts_as
    }

    pub fn uid(&self) -> u32 {
        self.record.person().uid()
    }

    /// Who gives out a token and then says yes to what it asks for has asked itself. Root is no such person: it hands a
    /// role's token to somebody else, and could say yes to anything anyway.
    pub fn behind(&self) -> Option<Account> {
        Some(self.uid()).filter(|uid| *uid != 0).map(Account::User)
    }

    /// The role that counts for it now. Never one that is not its issuer's: an account that was taken out of its role, or
    /// out of the group that is in it, takes its tokens with it.
    pub fn role<'a>(&self, config: &'a Config) -> Option<&'a Role> {
        match self.live.revoked.is_cancelled() {
            true => None,
            false => role_for(config, &self.record, self.live.person(&self.record)?.as_ref()),
        }
    }

    /// As `status` has it.
    pub fn to_json(&self) -> Map<String, Value> {
        let fields = [
            ("via", "http".into()),
            ("token", self.id().to_string().into()),
            ("acts_as", self.acts_as().to_string().into()),
            ("issuer", self.record.issuer.name().into()),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The role that counts for a token that stands, whose person is this by now.
pub(super) fn role_for<'a>(config: &'a Config, record: &Record, person: &Peer) -> Option<&'a Role> {
    match &record.acts_as {
        Grant::User(_) => role_of(config, person),
        Grant::Role(name) => {
            let role = config.roles.iter().find(|role| role.name == *name)?;
            may_give(config, person, role).then_some(role)
        }
    }
}

/// The role that counts for an account: the first that names it.
pub(super) fn role_of<'a>(config: &'a Config, peer: &Peer) -> Option<&'a Role> {
    config.roles.iter().find(|role| role.members.iter().any(|member| peer.is(member)))
}

/// Root's are all; anybody else's is their own.
pub(super) fn may_give(config: &Config, issuer: &Peer, role: &Role) -> bool {
    issuer.uid() == 0 || role_of(config, issuer).is_some_and(|own| own.name == role.name)
}
