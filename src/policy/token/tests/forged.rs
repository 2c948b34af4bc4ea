//! What is shown at the door: a token of this node and of this moment opens, and nothing that was made up does.

use super::*;

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
    // By whatever of it somebody has at hand it is taken back.
    for name in ["jti", "sub"] {
        assert_eq!(claims[name].as_str().unwrap().parse(), Ok(id), "{claims}");
    }
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
    let asking = |crit: Value| {
        forged(&key, &json!({ "alg": "EdDSA", "typ": "JWT", "crit": crit, "x": 1 }), &claims(&good))
    };
    let twice = |header: &str, begun: &str| {
        forged_text(&key, header, &claims(&good).to_string().replacen('{', begun, 1))
    };
    assert!(office.shown(&twice(&header.to_string(), "{")).is_ok());
    for (token, kind) in [
        (String::new(), "token_malformed"),
        ("a.b.c".into(), "token_malformed"),
        ("x".repeat(5000), "token_malformed"),
        (format!("{good}.{good}"), "token_malformed"),
        (with(&|claims| claims["exp"] = json!(now - 1)), "token_expired"),
        // In the very second in which it ends.
        (with(&|claims| claims["exp"] = json!(now)), "token_expired"),
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
        // What has to be understood, and is not.
        (asking(json!(["x"])), "token_malformed"),
        (asking(json!(["exp"])), "token_malformed"),
        (asking(json!([])), "token_malformed"),
        // What means two things.
        (twice("{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"typ\":\"JWT\"}", "{"), "token_malformed"),
        (
            twice("{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}", "{\"sub\":\"token:0000000000000000\","),
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
