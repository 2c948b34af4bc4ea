//! Web pages that a person looks at: by which name and from where they may ask.

use serde_json::json;

use crate::web::Web;

#[test]
fn a_name_that_is_not_this_nodes_is_not_answered_to_on_any_path() {
    let web = Web::listening("", "http = \"{dir}/http.sock\"\nhttp_hosts = [\"provost.example.org\"]");
    let token = web.token(&[]);
    let bearer = format!("Bearer {token}");
    for path in ["/mcp", "/v1/tools/status", "/health", "/metrics", "/openapi.json", "/x"] {
        let method = if path.starts_with("/v1") || path == "/mcp" { "POST" } else { "GET" };
        for host in ["evil.example", "evil.example:7180", "localhost.evil.example", "169.254.169.254"] {
            let answer = web.ask(method, path, &[("host", host), ("authorization", &bearer)], "");
            assert_eq!((answer.status, answer.kind()), (403, "host_not_allowed".into()), "{path} {host}");
        }
    }
    for host in ["localhost:7180", "[::1]", "provost.example.org"] {
        assert_eq!(web.ask("GET", "/health/live", &[("host", host)], "").status, 200, "{host}");
    }
    assert_eq!(web.raw(b"GET /health HTTP/1.1\r\nconnection: close\r\n\r\n").status, 400);
    assert_eq!(web.raw(b"GET /health HTTP/1.0\r\n\r\n").status, 400);
}

#[test]
fn a_page_of_another_origin_is_refused_though_it_has_a_token_and_one_that_is_named_is_answered() {
    let web = Web::listening("", "http = \"{dir}/http.sock\"\nhttp_origins = [\"https://chat.example.org\"]");
    let token = web.token(&[]);
    let bearer = format!("Bearer {token}");
    let kind = ("content-type", "application/json");
    let others = [
        "https://evil.example",
        "null",
        "http://localhost:3000",
        "https://localhost",
        "http://chat.example.org",
    ];
    for origin in others {
        let asked = [("origin", origin), ("authorization", &bearer), kind];
        let answer = web.ask("POST", "/v1/tools/status", &asked, "{}");
        assert_eq!((answer.status, answer.kind()), (403, "origin_not_allowed".into()), "{origin}");
        assert!(answer.header("access-control-allow-origin").is_none());
        let preflight =
            web.ask("OPTIONS", "/mcp", &[("origin", origin), ("access-control-request-method", "POST")], "");
        assert_eq!(preflight.status, 403, "{origin}");
    }
    let origin = ("origin", "https://chat.example.org");
    let answer = web.ask("POST", "/v1/tools/status", &[origin, ("authorization", &bearer), kind], "{}");
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://chat.example.org"));
    assert!(answer.header("access-control-allow-credentials").is_none(), "no cookies");
    let preflight = web.ask("OPTIONS", "/mcp", &[origin, ("access-control-request-method", "POST")], "");
    assert_eq!(preflight.status, 204);
    assert!(preflight.header("access-control-allow-headers").unwrap().contains("authorization"));
    // What a form or a link can send without asking first is refused for its kind, were there a token.
    let form = web.ask(
        "POST",
        "/v1/tools/status",
        &[("authorization", &bearer), ("content-type", "text/plain")],
        &json!({}).to_string(),
    );
    assert_eq!(form.status, 415);
}
