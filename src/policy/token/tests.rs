//! Tokens as attackers have them, and as those who give them out do.

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

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[test]
fn a_token_is_a_jwt_by_eddsa_with_all_its_claims_and_its_number_is_its_principals() {
    let office = Office::new();
    let issued = office.issue(&root(), of("small")).unwrap();
    let header = issued.token.split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    assert_eq!(header, json!({ "alg": "EdDSA", "typ": "JWT" }));
    let claims = claims(&issued.token);
    let id = issued.record.id;
    assert_eq!(
        (&claims["iss"], &claims["aud"], &claims["sub"]),
        (&json!("provost"), &json!(NODE), &json!(format!("token:{id}")))
    );
    let seconds = |name: &str| claims[name].as_i64().unwrap();
    assert_eq!(seconds("exp") - seconds("nbf"), 900);
    assert!(claims["jti"].as_str().unwrap().starts_with(&id.to_string()), "{claims}");
    let who = office.shown(&issued.token).unwrap();
    assert_eq!(who.to_string(), format!("token:{id} (role:small)"));
    assert_eq!(who.who(None).name(), format!("token:{id}"));
    assert_eq!(who.who(None).account(), Some(who.account()));
    assert!(!office.policy.is_approver(&who) && !who.is_root());
    // The key and the numbers are nobody else's to read.
    use std::os::unix::fs::PermissionsExt;
    for file in ["tokens", "tokens/key.der", "tokens/tokens.json"] {
        let mode = std::fs::metadata(office.dir.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}: {mode:o}");
    }
    let kept = std::fs::read_to_string(office.dir.path().join("tokens/tokens.json")).unwrap();
    assert!(!kept.contains(issued.token.split('.').nth(2).unwrap()), "the file holds no token");
}

#[test]
fn what_is_not_this_nodes_or_not_of_this_moment_opens_nothing() {
    let office = Office::new();
    let good = office.issue(&root(), of("large")).unwrap().token;
    let key = office.key();
    let header = json!({ "alg": "EdDSA", "typ": "JWT" });
    let now = Timestamp::now().as_second();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut claims = claims(&good);
        change(&mut claims);
        forged(&key, &header, &claims)
    };
    assert!(office.shown(&with(&|_| {})).is_ok(), "what the forger signs is like what the node signs");
    let other = Key::other();
    let body = good.rsplit_once('.').unwrap().0;
    let swapped = |alg: &str| forged(&key, &json!({ "alg": alg, "typ": "JWT" }), &claims(&good));
    for (token, kind) in [
        (String::new(), "token_malformed"),
        ("a.b.c".into(), "token_malformed"),
        ("x".repeat(5000), "token_malformed"),
        (format!("{good}.{good}"), "token_malformed"),
        (with(&|claims| claims["exp"] = json!(now - 1)), "token_expired"),
        (with(&|claims| claims["nbf"] = json!(now + 60)), "token_not_yet"),
        (with(&|claims| claims["aud"] = json!("provost/pve2-00000000")), "token_audience"),
        (with(&|claims| claims["aud"] = json!([NODE, "someone"])), "token_malformed"),
        (with(&|claims| claims["iss"] = json!("someone")), "token_audience"),
        (with(&|claims| claims["exp"] = json!("soon")), "token_malformed"),
        (with(&|claims| claims["exp"] = Value::Null), "token_malformed"),
        (with(&|claims| claims["nbf"] = json!("1")), "token_malformed"),
        (with(&|claims| claims["sub"] = json!("user:root")), "token_malformed"),
        (with(&|claims| claims["sub"] = json!("token:0000000000000000")), "token_unknown"),
        // Longer than was ever given out.
        (with(&|claims| claims["exp"] = json!(now + 100_000)), "token_unknown"),
        (forged(&other, &header, &claims(&good)), "token_signature"),
        (format!("{body}."), "token_signature"),
        (format!("{body}.AAAA"), "token_signature"),
        // Nobody signs.
        (format!("{}.{}.", part(&json!({ "alg": "none" })), part(&claims(&good))), "token_malformed"),
        (
            format!("{}.{}.", part(&json!({ "alg": "None", "typ": "JWT" })), part(&claims(&good))),
            "token_malformed",
        ),
        (swapped("ES256"), "token_algorithm"),
        (swapped("HS256"), "token_algorithm"),
        (swapped("RS256"), "token_algorithm"),
    ] {
        let rejected = office.shown(&token).expect_err(&token);
        assert_eq!(rejected.kind(), kind, "{token}: {rejected}");
        assert!(!rejected.to_string().is_empty() && !rejected.next().is_empty());
    }
    // HS256 by the public key, which anybody may know.
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let body = format!("{}.{}", part(&header), part(&claims(&good)));
    let pair = ring::signature::Ed25519KeyPair::from_pkcs8(&key).unwrap();
    let public = ring::signature::KeyPair::public_key(&pair);
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, public.as_ref());
    let signature = BASE64_URL_SAFE_NO_PAD.encode(ring::hmac::sign(&secret, body.as_bytes()));
    assert_eq!(office.shown(&format!("{body}.{signature}")).unwrap_err(), Rejected::Algorithm);
}

struct Key;

impl Key {
    fn other() -> Vec<u8> {
        let random = ring::rand::SystemRandom::new();
        ring::signature::Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref().to_vec()
    }
}

#[test]
fn nobody_gives_out_more_than_they_have() {
    let office = Office::new();
    let machine = Principal::Machine(crate::policy::Machine::for_tests(50, 120));
    let token = office.shown(&office.issue(&root(), of("large")).unwrap().token).unwrap();
    for (who, acts_as, refused) in [
        (root(), of("large"), None),
        (root(), of("small"), None),
        (root(), as_user(&alice()), None),
        (root(), of("none"), Some("no_such_role")),
        (root(), as_user(&carol()), Some("no_role")),
        (root(), as_user(&root()), Some("no_role")),
        (alice(), of("small"), None),
        (alice(), as_user(&alice()), None),
        (alice(), of("large"), Some("more_than_yours")),
        (alice(), of("none"), Some("more_than_yours")),
        (alice(), as_user(&bob()), Some("more_than_yours")),
        // Her number, and groups that she is not in.
        (
            alice(),
            Grant::User(Peer::given(1000, Some("alice".into()), vec![(0, None)])),
            Some("more_than_yours"),
        ),
        (bob(), of("small"), Some("more_than_yours")),
        (carol(), of("small"), Some("more_than_yours")),
        (carol(), as_user(&carol()), Some("no_role")),
        (machine, of("small"), Some("no_person")),
        (token, of("large"), Some("no_person")),
    ] {
        let issued = office.issue(&who, acts_as.clone()).map(drop).map_err(|error| error.kind());
        assert_eq!(issued.err(), refused, "{who} {acts_as}");
    }
    for (ttl_s, window_s, delay_s) in
        [(0, 0, 0), (MOST_TTL + 1, 0, 0), (1, MOST_WINDOW + 1, 0), (1, 0, u32::MAX)]
    {
        let wish = Wish { acts_as: of("small"), ttl_s, window_s, delay_s };
        assert_eq!(office.wish(&root(), wish).err(), Some(NotIssued::Span));
    }
}

#[test]
fn a_role_that_is_narrowed_or_lost_is_narrowed_or_lost_for_its_tokens() {
    let office = Office::new();
    let by_root = office.issue(&root(), of("small")).unwrap().token;
    let by_alice = office.issue(&alice(), of("small")).unwrap().token;
    let as_alice = office.issue(&root(), as_user(&alice())).unwrap().token;
    for token in [&by_root, &by_alice, &as_alice] {
        assert_eq!(office.role(token).as_deref(), Some("small"));
    }
    // Another daemon after it: alice is in another role now, and small has nobody.
    let roles =
        "[[role]]\nname='small'\nmembers=[]\n[[role]]\nname='least'\nmembers=['user:alice']\nexec='none'";
    let office = office.again(roles);
    assert_eq!(office.role(&by_root).as_deref(), Some("small"), "root's to give");
    assert_eq!(office.role(&by_alice), None, "no longer hers to give");
    assert_eq!(office.role(&as_alice).as_deref(), Some("least"));
    let office = office.again("[[role]]\nname='other'\nmembers=['user:alice']\nprofile='full'");
    assert_eq!((office.role(&by_root), office.role(&by_alice)), (None, None));
}

#[test]
fn what_is_taken_back_is_so_at_once_and_after_a_restart() {
    let office = Office::new();
    let issued = office.issue(&root(), of("large")).unwrap();
    let held = office.shown(&issued.token).unwrap();
    let config = office.policy.rules.now();
    assert!(role(&config, &held).is_some());
    office.take_back(issued.record.id).unwrap();
    assert_eq!(office.shown(&issued.token).unwrap_err(), Rejected::Revoked);
    // What is under way by it has no role any more.
    assert!(role(&config, &held).is_none() && held.token().unwrap().revoked().is_cancelled());
    assert_eq!(office.renewed(&held, issued.record.id).err(), Some(NotIssued::Revoked));
    let office = office.again(ROLES);
    assert_eq!(office.shown(&issued.token).unwrap_err(), Rejected::Revoked);
}

#[test]
fn a_restart_keeps_what_was_given_out_and_without_its_number_or_key_nothing_opens() {
    let office = Office::new();
    let token = office.issue(&root(), of("large")).unwrap().token;
    let office = office.again(ROLES);
    assert!(office.shown(&token).is_ok());
    let records = office.dir.path().join("tokens/tokens.json");
    let kept = std::fs::read(&records).unwrap();
    for (damaged, kind) in [
        (&b"{"[..], "tokens_unreadable"),
        (b"", "tokens_unreadable"),
        (b"{\"version\":2,\"tokens\":[]}", "tokens_unreadable"),
    ] {
        std::fs::write(&records, damaged).unwrap();
        let fresh = Tokens::beside(&office.dir.path().join("ledger"));
        assert_eq!(office.runtime.block_on(fresh.present(&token, NODE)).unwrap_err().kind(), kind);
        assert!(fresh.all().is_err());
        // Once it is mended, it opens again.
        std::fs::write(&records, &kept).unwrap();
        assert!(office.runtime.block_on(fresh.present(&token, NODE)).is_ok());
    }
    std::fs::remove_file(&records).unwrap();
    let fresh = Tokens::beside(&office.dir.path().join("ledger"));
    assert_eq!(office.runtime.block_on(fresh.present(&token, NODE)).unwrap_err(), Rejected::Unknown);
    std::fs::write(&records, &kept).unwrap();
    std::fs::remove_file(office.dir.path().join("tokens/key.der")).unwrap();
    let fresh = Tokens::beside(&office.dir.path().join("ledger"));
    assert_eq!(office.runtime.block_on(fresh.present(&token, NODE)).unwrap_err(), Rejected::Signature);
}

#[test]
fn a_token_is_renewed_by_its_holder_inside_its_window_and_not_beyond() {
    let office = Office::new();
    let issued = office.issue(&root(), of("small")).unwrap();
    let id = issued.record.id;
    let holder = office.shown(&issued.token).unwrap();
    let renewed = office.renewed(&holder, id).unwrap();
    assert!(renewed.expires >= issued.record.expires && renewed.expires <= renewed.refresh_until);
    let again = office.renew(&holder, id).unwrap();
    assert_eq!(again.record.refreshed, 1);
    assert_ne!(claims(&again.token)["jti"], claims(&issued.token)["jti"]);
    assert_eq!(office.shown(&again.token).unwrap().account(), holder.account());
    assert!(office.shown(&issued.token).is_ok(), "the one before lasts as long as it would have");
    // Nobody else's hand.
    for (who, may) in [(root(), true), (alice(), false), (bob(), false), (carol(), false)] {
        assert_eq!(office.renewed(&who, id).is_ok(), may, "{who}");
    }
    let other = office.shown(&office.issue(&root(), of("small")).unwrap().token).unwrap();
    assert_eq!(office.renewed(&other, id).err(), Some(NotIssued::NoSuch));
    // Without a window.
    let wish = Wish { acts_as: of("small"), ttl_s: 900, window_s: 0, delay_s: 0 };
    let short = office.wish(&root(), wish).unwrap();
    let holder = office.shown(&short.token).unwrap();
    assert_eq!(office.renewed(&holder, short.record.id).err(), Some(NotIssued::Window));
}

#[test]
fn who_gave_out_a_token_and_whom_it_acts_as_do_not_decide_about_what_it_asks() {
    let office = Office::new();
    for (issuer, acts_as, behind) in
        [(bob(), of("large"), Some(1001)), (root(), as_user(&bob()), Some(1001)), (root(), of("large"), None)]
    {
        let token = office.issue(&issuer, acts_as).unwrap().token;
        let who = office.shown(&token).unwrap();
        assert_eq!(who.behind(), behind.map(crate::account::Account::User), "{issuer}");
    }
}

#[test]
fn tokens_are_seen_and_taken_back_by_who_has_to_do_with_them() {
    let office = Office::new();
    let by_alice = office.issue(&alice(), of("small")).unwrap().record;
    let as_alice = office.issue(&root(), as_user(&alice())).unwrap().record;
    let other = office.issue(&root(), of("large")).unwrap();
    let holder = office.shown(&other.token).unwrap();
    for (who, sees) in [
        (root(), [true, true, true]),
        (bob(), [true, true, true]),
        (alice(), [true, true, false]),
        (carol(), [false, false, false]),
        (holder, [false, false, false]),
    ] {
        let seen = [&by_alice, &as_alice, &other.record]
            .map(|record| office.policy.token_of(&who, record.id).is_ok());
        assert_eq!(seen, sees, "{who}");
    }
}

#[test]
fn what_is_attested_is_verified_by_the_published_key_and_is_never_a_token() {
    use ring::signature::{ED25519, UnparsedPublicKey};
    let office = Office::new();
    let token = office.issue(&root(), of("small")).unwrap().token;
    // Even where it says all that a token says.
    let payload = claims(&token).to_string();
    let attested = office.policy.tokens.attest(payload.as_bytes(), "http://localhost/keys").unwrap();
    let text = format!("{}.{}", attested.protected, BASE64_URL_SAFE_NO_PAD.encode(&payload));
    let public = office.policy.tokens.public_key().unwrap();
    let (x, signature) = (
        BASE64_URL_SAFE_NO_PAD.decode(&public.x).unwrap(),
        BASE64_URL_SAFE_NO_PAD.decode(&attested.signature).unwrap(),
    );
    UnparsedPublicKey::new(&ED25519, x).verify(text.as_bytes(), &signature).unwrap();
    let header: Value =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(&attested.protected).unwrap()).unwrap();
    let wanted = json!({ "alg": "EdDSA", "typ": "JOSE", "kid": public.kid, "jku": "http://localhost/keys" });
    assert_eq!(header, wanted);
    let shown = office.shown(&format!("{text}.{}", attested.signature));
    assert!(matches!(shown, Err(Rejected::Malformed(_))), "{shown:?}");
}

#[test]
fn what_a_holder_was_given_stays_known_through_a_renewal_and_a_restart() {
    let office = Office::new();
    let issued = office.issue(&root(), of("small")).unwrap();
    let other = office.issue(&root(), of("small")).unwrap();
    let holder = office.shown(&issued.token).unwrap();
    holder.token().unwrap().taint().mark();
    let kept = || office.runtime.block_on(office.policy.tokens.keep_taints_now());
    // A disk that does not take it is tried again.
    let in_the_way = office.dir.path().join("tokens/tokens.json.new");
    std::fs::create_dir(&in_the_way).unwrap();
    assert!(!kept() && !kept());
    std::fs::remove_dir(&in_the_way).unwrap();
    assert!(kept());
    let tainted = |office: &Office, token: &str| office.shown(token).unwrap().token().unwrap().taint().is();
    let again = office.renew(&holder, issued.record.id).unwrap();
    let office = office.again(ROLES);
    assert!(tainted(&office, &issued.token) && tainted(&office, &again.token));
    assert!(!tainted(&office, &other.token));
    // As the file was before it was kept.
    let records = office.dir.path().join("tokens/tokens.json");
    let text = std::fs::read_to_string(&records).unwrap().replace(",\"tainted\":true", "");
    std::fs::write(&records, text.replace(",\"tainted\":false", "")).unwrap();
    assert!(!tainted(&office.again(ROLES), &other.token));
}

#[test]
fn a_token_stands_as_long_as_the_latest_form_of_it_that_nobody_has_shown_yet() {
    let office = Office::new();
    let wish = Wish { acts_as: of("small"), ttl_s: 1, window_s: 3600, delay_s: 0 };
    let issued = office.wish(&root(), wish).unwrap();
    let holder = office.shown(&issued.token).unwrap();
    let mut record = office.renewed(&holder, issued.record.id).unwrap();
    record.expires = Timestamp::now() + std::time::Duration::from_secs(600);
    let page = office.runtime.block_on(office.policy.tokens.page());
    office.runtime.block_on(office.policy.tokens.renew(page, record, NODE)).unwrap();
    while office.shown(&issued.token).is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(office.shown(&issued.token).unwrap_err(), Rejected::Expired);
    assert!(office.policy.tokens.stands(issued.record.id));
    office.take_back(issued.record.id).unwrap();
    assert!(!office.policy.tokens.stands(issued.record.id));
}

#[test]
fn who_is_taken_out_of_a_group_or_is_no_more_takes_the_tokens_along() {
    let roles = "[[role]]\nname='ops'\nmembers=['group:ops']\n[[role]]\nname='rest'\nmembers=['user:dora']";
    let dora = |groups: &[(u32, &str)]| Principal::for_tests(1003, "dora", groups);
    let (inside, outside) = (dora(&[(1003, "dora"), (50, "ops")]), dora(&[(1003, "dora")]));
    let now_is = |office: &Office, who: Option<&Principal>| {
        let mut people = office.people.lock().unwrap();
        match who {
            Some(who) => people.insert(1003, who.peer().unwrap().clone()),
            None => people.remove(&1003),
        };
    };
    let office = Office::in_dir(tempfile::tempdir().unwrap(), roles);
    // In the group by the kernel's word for a process, and not by the node's accounts: that is for the process alone.
    now_is(&office, Some(&outside));
    assert_eq!(office.issue(&inside, of("ops")).err().map(|error| error.kind()), Some("more_than_yours"));
    now_is(&office, None);
    assert_eq!(office.issue(&inside, of("ops")).err().map(|error| error.kind()), Some("no_account"));
    now_is(&office, Some(&inside));
    let by_role = office.issue(&inside, of("ops")).unwrap();
    let as_user = office.issue(&inside, as_user(&inside)).unwrap();
    let roles_now = |office: &Office| [&by_role, &as_user].map(|issued| office.role(&issued.token));
    assert_eq!(roles_now(&office), [Some("ops".into()), Some("ops".into())]);
    for (who, found) in [
        (Some(outside.clone()), [None, Some("rest".to_owned())]),
        // The number is another's by now, who is in the group.
        (Some(Principal::for_tests(1003, "eve", &[(1003, "eve"), (50, "ops")])), [None, None]),
        (None, [None, None]),
    ] {
        now_is(&office, who.as_ref());
        // It is looked up by the first request that a daemon gets, and by every renewal.
        let fresh = Office::among(tempfile::tempdir().unwrap(), roles, office.people.clone());
        std::fs::create_dir_all(fresh.dir.path().join("tokens")).unwrap();
        for file in ["key.der", "tokens.json"] {
            let from = office.dir.path().join("tokens").join(file);
            std::fs::copy(from, fresh.dir.path().join("tokens").join(file)).unwrap();
        }
        assert_eq!(roles_now(&fresh), found, "{who:?}");
        let holder = fresh.shown(&by_role.token).unwrap();
        assert!(fresh.renewed(&holder, by_role.record.id).is_err(), "{who:?}");
    }
    // One that is in use hears of it by its renewal at the latest.
    let holder = office.shown(&as_user.token).unwrap();
    assert_eq!(
        office.renewed(&holder, as_user.record.id).err().map(|error| error.kind()),
        Some("no_account")
    );
    assert!(role(&office.policy.rules.now(), &holder).is_none());
}

#[test]
fn nobody_keeps_others_from_giving_out_tokens() {
    let office = Office::new();
    let wish = Wish { acts_as: of("small"), ttl_s: 900, window_s: MOST_WINDOW, delay_s: 0 };
    // As fast as one may, and then as many as one may.
    let mut ids: Vec<TokenId> = Vec::new();
    let refused = std::iter::repeat_with(|| office.wish(&alice(), wish.clone()))
        .find_map(|issued| issued.map(|issued| ids.push(issued.record.id)).err());
    assert_eq!(refused.map(|error| error.kind()), Some("rate"));
    let first = Record::clone(&office.policy.tokens.all().unwrap()[0]);
    let copy = |at: usize| Record { id: TokenId::for_tests(at as u64), ..first.clone() };
    let keep = |record: Record| {
        office.runtime.block_on(async {
            let page = office.policy.tokens.page().await;
            office.policy.tokens.issue(page, record, 0, NODE).await.map(|issued| issued.record.id)
        })
    };
    let full = (1..).map(|at| keep(copy(at)).map(|id| ids.push(id))).find_map(Result::err);
    assert_eq!((full, ids.len()), (Some(NotIssued::Own), 50));
    assert!(office.issue(&bob(), of("large")).is_ok() && office.issue(&root(), of("large")).is_ok());
    // The advice holds: what is taken back makes room at once; and of what was, no more is known than so much.
    for round in 0..2 {
        for id in std::mem::take(&mut ids) {
            office.take_back(id).unwrap();
        }
        ids.extend((0..50).map(|at| keep(copy(1000 * (round + 1) + at)).unwrap()));
    }
    let revoked =
        office.policy.tokens.all().unwrap().iter().filter(|record| record.revoked.is_some()).count();
    assert_eq!(revoked, 50);
    // What has expired is renewed no more, and takes no place.
    let short = Record { expires: Timestamp::now() - std::time::Duration::from_secs(1), ..copy(9000) };
    let other = Record { issuer: bob().peer().unwrap().clone(), ..short };
    keep(other.clone()).unwrap();
    keep(Record { id: TokenId::for_tests(9001), ..other }).unwrap();
    assert!(office.policy.tokens.find(TokenId::for_tests(9000)).unwrap().is_none());
}

#[test]
fn what_is_taken_back_while_it_is_renewed_stays_so() {
    let office = Office::new();
    let issued = office.issue(&root(), of("small")).unwrap();
    let holder = office.shown(&issued.token).unwrap();
    let (tokens, id) = (office.policy.tokens.clone(), issued.record.id);
    office.runtime.block_on(async {
        let page = tokens.page().await;
        let renewed = office.policy.renewed(&page, &holder, id).await.unwrap();
        // Whoever waits for the disk keeps nobody from showing a token.
        assert!(tokens.present(&issued.token, NODE).await.is_ok());
        // It holds from this moment on, though who writes has the page; and is written after them.
        let back = tokio::spawn({
            let tokens = tokens.clone();
            async move { tokens.take_back(id, "user:root".into()).await }
        });
        tokio::task::yield_now().await;
        assert!(holder.token().unwrap().revoked().is_cancelled());
        assert_eq!(tokens.renew(page, renewed, NODE).await.map(drop).unwrap_err(), NotIssued::Revoked);
        back.await.unwrap().unwrap();
    });
    let office = office.again(ROLES);
    assert_eq!(office.shown(&issued.token).unwrap_err(), Rejected::Revoked);
}

#[test]
fn a_token_is_renewed_so_often_and_what_is_counted_is_its_givers() {
    let office = Office::new();
    let [first, second] = [(); 2].map(|()| office.issue(&alice(), of("small")).unwrap());
    let may = |issued: &Issued| office.policy.may_renew(issued.record.id).map_err(|error| error.kind());
    assert!((0..6).all(|_| may(&first).is_ok()));
    assert_eq!((may(&first), may(&second)), (Err("rate"), Ok(())));
    // However many tokens somebody gives out, and whomever root names.
    let held = |issued: &Issued| office.shown(&issued.token).unwrap();
    let named = office.issue(&root(), as_user(&alice())).unwrap();
    for issued in [&first, &second, &named] {
        assert_eq!(held(issued).payer(), alice().account());
        assert_ne!(held(issued).account(), alice().account());
    }
    let of_root = held(&office.issue(&root(), of("small")).unwrap());
    assert_eq!(of_root.payer(), of_root.account());
}

#[test]
fn a_rate_is_the_same_one_however_many_tokens_somebody_gives_out() {
    let roles = "[[role]]\nname='small'\nmembers=['user:alice', 'user:bob']\nrate='3/h'";
    let office = Office::in_dir(tempfile::tempdir().unwrap(), roles);
    let runs = |who: &Principal| office.policy.exec(who, 101, crate::exec::wire::Mode::Inspect).is_ok();
    let hold = |issued: Issued| office.shown(&issued.token).unwrap();
    for _ in 0..3 {
        assert!(runs(&hold(office.issue(&alice(), of("small")).unwrap())));
    }
    assert!(!runs(&hold(office.issue(&alice(), of("small")).unwrap())));
    assert!(!runs(&hold(office.issue(&root(), as_user(&alice())).unwrap())) && !runs(&alice()));
    assert!(runs(&bob()) && runs(&hold(office.issue(&bob(), of("small")).unwrap())));
    assert!(runs(&hold(office.issue(&root(), of("small")).unwrap())), "root's hand, somebody else's token");
}
