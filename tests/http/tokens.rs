//! Tokens, tried as an attacker tries them: over HTTP, by both faces.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::common::eventually;
use crate::web::Web;

/// What both faces say to it.
fn shown(web: &Web, token: &str) -> (u16, String) {
    let plain = web.tool(token, "status", &json!({}));
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} });
    let mcp = web.mcp(token, None, &message);
    if plain.status == 401 {
        assert_eq!((mcp.status, mcp.kind()), (401, plain.kind()), "the faces differ");
        for answer in [&plain, &mcp] {
            assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"), "{:?}", answer.headers);
        }
        return (401, plain.kind());
    }
    assert_ne!(mcp.status, 401, "{}", mcp.body);
    (plain.status, String::new())
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// Signed by who has stolen the key.
fn forged(web: &Web, header: &Value, claims: &Value) -> String {
    let key = std::fs::read(web.site.dir.path().join("tokens/key.der")).unwrap();
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let body = format!("{}.{}", part(header), part(claims));
    let pair = ring::signature::Ed25519KeyPair::from_pkcs8(&key).unwrap();
    format!("{body}.{}", BASE64_URL_SAFE_NO_PAD.encode(pair.sign(body.as_bytes())))
}

#[test]
fn nothing_but_a_good_token_gets_in_and_each_try_says_why() {
    let web = Web::start("profile = \"observe\"");
    let good = web.token(&["--as", "own"]);
    assert_eq!(shown(&web, &good).0, 200);
    let header = json!({ "alg": "EdDSA", "typ": "JWT" });
    let with = |name: &str, value: Value| {
        let mut claims = claims(&good);
        claims[name] = value;
        forged(&web, &header, &claims)
    };
    let now = claims(&good)["iat"].as_i64().unwrap();
    let (body, signature) = good.rsplit_once('.').unwrap();
    let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    for (token, kind) in [
        ("".to_owned(), "token_malformed"),
        ("root".to_owned(), "token_malformed"),
        (with("exp", json!(now - 1)), "token_expired"),
        (with("nbf", json!(now + 900)), "token_not_yet"),
        (with("aud", json!("provost/another")), "token_audience"),
        (with("exp", json!(now + 90_000)), "token_unknown"),
        (with("sub", json!("token:0123456789abcdef")), "token_unknown"),
        (format!("{none}.{}.", body.split('.').nth(1).unwrap()), "token_malformed"),
        (format!("{none}.{}.{signature}", body.split('.').nth(1).unwrap()), "token_malformed"),
        (forged(&web, &json!({ "alg": "HS256", "typ": "JWT" }), &claims(&good)), "token_algorithm"),
        (format!("{body}.AAAA{}", &signature[4..]), "token_signature"),
    ] {
        assert_eq!(shown(&web, &token), (401, kind.to_owned()), "{token}");
    }
    // No header, another scheme, two headers, in the URL, in a cookie.
    let kind = [("content-type", "application/json")];
    let bearer = format!("Bearer {good}");
    let basic = format!("Basic {good}");
    let cookie = format!("token={good}; Authorization=Bearer {good}");
    for (path, headers, says) in [
        ("/v1/tools/status", vec![], "token_missing"),
        ("/v1/tools/status", vec![("authorization", basic.as_str())], "token_malformed"),
        ("/v1/tools/status", vec![("authorization", good.as_str())], "token_malformed"),
        ("/v1/tools/status", vec![("authorization", bearer.as_str()); 2], "token_malformed"),
        ("/v1/tools/status", vec![("cookie", cookie.as_str())], "token_missing"),
    ] {
        let answer = web.ask("POST", path, &[&kind[..], &headers].concat(), "{}");
        assert_eq!((answer.status, answer.kind()), (401, says.to_owned()), "{headers:?}");
        assert!(answer.header("set-cookie").is_none());
    }
    let in_url = web.ask("POST", &format!("/v1/tools/status?access_token={good}"), &kind, "{}");
    assert_eq!((in_url.status, in_url.kind()), (401, "token_missing".into()));
    // Of them all there is at least one receipt, and none holds a token.
    eventually("a receipt of who was turned away", || {
        web.receipts().iter().any(|it| it["kind"] == "session" && it["body"]["event"] == "turned_away")
    });
    let ledger: String = web.receipts().iter().map(Value::to_string).collect();
    for text in [ledger, web.site.log()] {
        assert!(!text.contains(signature) && !text.contains(body), "a token was written down");
    }
}

#[test]
fn a_token_that_is_revoked_opens_nothing_from_that_moment_on_nor_after_a_restart() {
    let mut web = Web::start("profile = \"observe\"");
    let issued = web.issued(&["--as", "own", "--ttl", "1h"]);
    let (token, id) = (issued["token"].as_str().unwrap(), issued["about"]["id"].as_str().unwrap());
    assert_eq!(shown(&web, token).0, 200);
    let session = web.session(token);
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {} });
    assert_eq!(web.mcp(token, Some(&session), &list).status, 200);
    let mut stream = web.connect();
    let bearer = format!("Bearer {token}");
    let listening = crate::web::request(
        "GET",
        "/mcp",
        &[("authorization", &bearer), ("accept", "text/event-stream"), ("mcp-session-id", &session)],
        "",
    );
    std::io::Write::write_all(&mut stream, listening.as_bytes()).unwrap();

    web.restart();
    assert_eq!(shown(&web, token).0, 200, "a restart takes nothing away");
    assert_eq!(web.mcp(token, Some(&session), &list).status, 404, "a session ends with its daemon");
    let session = web.session(token);
    let mut stream = web.connect();
    let listening = listening.replace(
        listening.lines().find(|line| line.starts_with("mcp-session-id")).unwrap(),
        &format!("mcp-session-id: {session}"),
    );
    std::io::Write::write_all(&mut stream, listening.as_bytes()).unwrap();
    let mut first = [0; 15];
    std::io::Read::read_exact(&mut stream, &mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");

    let revoked = web.provost(&["token", "revoke", id, "--why", "it was in a log"]);
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    // Who listens is hung up on; who asks again is not let in.
    crate::web::read(&mut stream);
    assert_eq!(shown(&web, token), (401, "token_revoked".into()));
    assert_eq!(web.mcp(token, Some(&session), &list).status, 401);
    web.restart();
    assert_eq!(shown(&web, token), (401, "token_revoked".into()));
    let events: Vec<Value> = web
        .receipts()
        .iter()
        .filter(|it| it["kind"] == "token")
        .map(|it| it["body"]["event"].clone())
        .collect();
    assert_eq!(events, [json!("issued"), json!("revoked")]);
}

#[test]
fn a_role_that_is_narrowed_is_narrowed_for_the_token_that_is_in_use() {
    let web = Web::start("profile = \"full\"");
    let token = web.token(&["--as", "own"]);
    let read = |path: &str| web.tool(&token, "read", &json!({ "path": path }));
    assert_eq!(read("/access/users").status, 200);
    web.set_roles("profile = \"observe\"\ndeny = [\"GET /access/*\"]");
    let refused = read("/access/users");
    assert_eq!((refused.status, refused.kind()), (403, "denied_to_role".into()));
    let status = web.tool(&token, "status", &json!({})).json();
    assert_eq!((&status["role"], &status["profile"]), (&json!("own"), &json!("observe")));
    assert_eq!(status["principal"]["via"], "http");
}

#[test]
fn a_holder_renews_a_token_inside_its_window_and_stays_the_same_one() {
    let web = Web::start("profile = \"observe\"");
    let issued = web.issued(&["--as", "own", "--ttl", "10m", "--refresh-for", "1h"]);
    let token = issued["token"].as_str().unwrap();
    let refresh = |token: &str| {
        web.ask("POST", "/v1/token/refresh", &[("authorization", &format!("Bearer {token}"))], "")
    };
    let renewed = refresh(token);
    assert_eq!(renewed.status, 200, "{}", renewed.body);
    assert_eq!(renewed.json()["id"], issued["about"]["id"]);
    let new = renewed.json()["token"].as_str().unwrap().to_owned();
    let principal = |token: &str| web.tool(token, "status", &json!({})).json()["principal"].clone();
    assert_eq!(principal(&new), principal(token));
    let never = web.token(&["--as", "own", "--refresh-for", "0s"]);
    let refused = refresh(&never);
    assert_eq!((refused.status, refused.kind()), (403, "refresh_window".into()));
    let late = web.token(&["--as", "own", "--not-before", "10m"]);
    assert_eq!(shown(&web, &late), (401, "token_not_yet".into()));
    let brief = web.token(&["--as", "own", "--ttl", "1s"]);
    eventually("it expires", || web.tool(&brief, "status", &json!({})).kind() == "token_expired");
    assert_eq!(refresh(&brief).status, 401);
}

#[test]
fn one_tokens_sessions_and_plans_are_no_others() {
    let web = Web::start("profile = \"full\"");
    let (first, second) = (web.token(&["--as", "own"]), web.token(&["--as", "own"]));
    let session = web.session(&first);
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {} });
    assert_eq!(web.mcp(&first, Some(&session), &list).status, 200);
    assert_eq!(web.mcp(&second, Some(&session), &list).status, 404);
    let wish =
        json!({ "method": "PUT", "path": "/nodes/pve1/qemu/104/config", "args": { "description": "x" } });
    let plan = web.tool(&first, "plan", &wish);
    assert_eq!(plan.status, 200, "{}", plan.body);
    let apply = json!({ "plan_id": plan.json()["plan_id"] });
    let stolen = web.tool(&second, "apply", &apply);
    assert_eq!((stolen.status, stolen.kind()), (403, "not_your_plan".into()));
    let applied = web.tool(&first, "apply", &apply);
    assert_eq!(applied.status, 200, "{}", applied.body);
    let receipt = web.receipts().into_iter().find(|it| it["kind"] == "intent").unwrap();
    assert!(receipt["principal"]["token"].is_string() && receipt["principal"]["role"] == "own", "{receipt}");
}

#[test]
fn tokens_are_listed_without_themselves() {
    let web = Web::start("profile = \"observe\"");
    let issued = web.issued(&["--as", "own"]);
    let list = web.provost(&["token", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(listed["tokens"][0]["id"], issued["about"]["id"]);
    assert_eq!(listed["tokens"][0]["state"], "active");
    assert!(!String::from_utf8_lossy(&list.stdout).contains("eyJ"), "{listed}");
    let plain = web.provost(&["token", "issue", "--as", "role:own"]);
    let token = String::from_utf8(plain.stdout).unwrap();
    assert_eq!(
        (token.lines().count(), token.starts_with("eyJ")),
        (1, true),
        "nothing else is on standard output"
    );
    assert_eq!(shown(&web, token.trim()).0, 200);
    let wrong = web.provost(&["token", "issue", "--as", "role:nobody"]);
    assert_eq!(wrong.status.code(), Some(1));
}

#[test]
fn a_holder_that_renews_again_and_again_is_told_to_wait_and_leaves_nothing_on_the_disk() {
    let web = Web::start("profile = \"observe\"");
    let token = web.token(&["--as", "own", "--ttl", "1h"]);
    let bearer = format!("Bearer {token}");
    let renew = || web.ask("POST", "/v1/token/refresh", &[("authorization", &bearer)], "");
    let answers: Vec<_> = (0..40).map(|_| renew()).collect();
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 6);
    let last = answers.last().unwrap();
    assert_eq!((last.status, last.kind()), (429, "rate".into()), "{}", last.body);
    let renewed = |it: &&Value| it["kind"] == "token" && it["body"]["event"] == "refreshed";
    assert_eq!(web.receipts().iter().filter(renewed).count(), 6);
    assert!(web.receipts().iter().all(|it| it["kind"] != "refusal"));
    // Another's are their own.
    let other = format!("Bearer {}", web.token(&["--as", "own", "--ttl", "1h"]));
    assert_eq!(web.ask("POST", "/v1/token/refresh", &[("authorization", &other)], "").status, 200);
}

#[test]
fn whom_a_token_acts_as_is_in_the_groups_that_the_node_has_them_in() {
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let other = "[[role]]\nname = \"other\"\nmembers = [\"group:nogroup\"]\nprofile = \"observe\"";
    let mut web = Web::start(&format!("profile = \"observe\"\n{other}"));
    let token = web.token(&["--as", "user:nobody", "--ttl", "1h"]);
    let role = |web: &Web| web.tool(&token, "status", &json!({})).json()["role"].clone();
    assert_eq!(role(&web), json!("other"));
    web.restart();
    assert_eq!(role(&web), json!("other"));
    // One that was once somebody's, and is no account (any more).
    let records = web.site.dir.path().join("tokens/tokens.json");
    let text = std::fs::read_to_string(&records).unwrap();
    std::fs::write(&records, text.replace("\"user\":\"nobody\"", "\"user\":\"somebody\"")).unwrap();
    web.restart();
    assert_eq!(role(&web), Value::Null);
    let bearer = format!("Bearer {token}");
    let refused = web.ask("POST", "/v1/token/refresh", &[("authorization", &bearer)], "");
    assert_eq!((refused.status, refused.kind()), (403, "no_account".into()));
}
