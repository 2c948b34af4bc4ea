//! Tokens as attackers have them, and as those who give them out do.

mod forged;
mod life;
mod rights;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::people::People;
use super::*;
use crate::config;
use crate::policy::{Peer, Policy, Principal, Rules, role};

const NODE: &str = "provost/pve1-00000000";

struct Office {
    dir: TempDir,
    policy: Policy,
    /// The node's accounts.
    people: Arc<Mutex<BTreeMap<u32, Peer>>>,
    runtime: Runtime,
}

impl Office {
    fn new() -> Self {
        Self::in_dir(tempfile::tempdir().unwrap(), ROLES)
    }

    fn in_dir(dir: TempDir, roles: &str) -> Self {
        let known = [alice(), bob(), carol()].map(|who| who.peer().unwrap().clone());
        let known = known.into_iter().map(|peer| (peer.uid(), peer)).collect();
        Self::among(dir, roles, Arc::new(Mutex::new(known)))
    }

    fn among(dir: TempDir, roles: &str, people: Arc<Mutex<BTreeMap<u32, Peer>>>) -> Self {
        let ledger = dir.path().join("ledger");
        let text = format!("[ledger]\ndir = '{}'\n{roles}", ledger.display());
        let mut policy = Policy::new(Rules::fixed(config::parse(std::path::Path::new("x"), &text).unwrap()));
        let known = people.clone();
        let look = move |uid| Ok(known.lock().unwrap().get(&uid).cloned());
        policy.tokens = Tokens::of_people(&ledger, People::by(look));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { dir, policy, people, runtime }
    }

    /// The same disk, another daemon, by rules that may have changed.
    fn again(self, roles: &str) -> Self {
        Self::among(self.dir, roles, self.people)
    }

    fn issue(&self, who: &Principal, acts_as: Grant) -> Result<Issued, NotIssued> {
        self.wish(who, Wish { acts_as, ttl_s: 900, window_s: 3600, delay_s: 0 })
    }

    fn wish(&self, who: &Principal, wish: Wish) -> Result<Issued, NotIssued> {
        let (delay, tokens) = (wish.delay_s, &self.policy.tokens);
        self.runtime.block_on(async {
            let page = tokens.page().await;
            let record = self.policy.token_for(&page, who, &wish).await?;
            tokens.issue(page, record, delay, NODE).await
        })
    }

    fn shown(&self, token: &str) -> Result<Principal, Rejected> {
        let presented = self.runtime.block_on(self.policy.tokens.present(token, NODE))?;
        Ok(Principal::Token(presented.bearer))
    }

    fn renewed(&self, who: &Principal, id: TokenId) -> Result<Record, NotIssued> {
        self.runtime.block_on(async {
            let page = self.policy.tokens.page().await;
            self.policy.renewed(&page, who, id).await
        })
    }

    fn renew(&self, who: &Principal, id: TokenId) -> Result<Issued, NotIssued> {
        let tokens = &self.policy.tokens;
        self.runtime.block_on(async {
            let page = tokens.page().await;
            let record = self.policy.renewed(&page, who, id).await?;
            tokens.renew(page, record, NODE).await
        })
    }

    fn take_back(&self, id: TokenId) -> Result<(), String> {
        self.runtime.block_on(self.policy.tokens.take_back(id, "user:root".into()))
    }

    fn role(&self, token: &str) -> Option<String> {
        let who = self.shown(token).unwrap();
        role(&self.policy.rules.now(), &who).map(|role| role.name.clone())
    }

    fn key(&self) -> Vec<u8> {
        std::fs::read(self.dir.path().join("tokens/key.der")).unwrap()
    }
}

const ROLES: &str = "[approval]\nmembers=['user:bob']\n[[role]]\nname='small'\nmembers=['user:alice']\nprofile='observe'\n\
                     [[role]]\nname='large'\nmembers=['user:bob']\nprofile='full'";

fn root() -> Principal {
    Principal::for_tests(0, "root", &[(0, "root")])
}

fn alice() -> Principal {
    Principal::for_tests(1000, "alice", &[(1000, "alice")])
}

fn bob() -> Principal {
    Principal::for_tests(1001, "bob", &[(1001, "bob")])
}

fn carol() -> Principal {
    Principal::for_tests(1002, "carol", &[(1002, "carol")])
}

fn of(role: &str) -> Grant {
    Grant::Role(role.into())
}

fn as_user(who: &Principal) -> Grant {
    Grant::User(who.peer().unwrap().clone())
}

fn part(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Any header and claims, signed by whoever has the key.
fn forged(key: &[u8], header: &Value, claims: &Value) -> String {
    let body = format!("{}.{}", part(header), part(claims));
    let pair = ring::signature::Ed25519KeyPair::from_pkcs8(key).unwrap();
    format!("{body}.{}", BASE64_URL_SAFE_NO_PAD.encode(pair.sign(body.as_bytes())))
}

/// The same, of what no value holds: a key that stands twice.
fn forged_text(key: &[u8], header: &str, claims: &str) -> String {
    let body = [header, claims].map(|text| BASE64_URL_SAFE_NO_PAD.encode(text)).join(".");
    let pair = ring::signature::Ed25519KeyPair::from_pkcs8(key).unwrap();
    format!("{body}.{}", BASE64_URL_SAFE_NO_PAD.encode(pair.sign(body.as_bytes())))
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
