//! The daemons' habits on a connection, and their status lines.

use std::time::{Duration, Instant};

use provost::sim::estate::{demo, recorded};

use crate::client::{Connection, Lab};

#[tokio::test]
async fn a_connection_serves_a_hundred_requests() {
    let lab = Lab::new(recorded()).await;
    for mut connection in [Connection::daemon(&lab.sim).await, Connection::proxy(&lab.sim).await] {
        for number in 1..=100 {
            connection.send(&lab.request("GET", "/version", "")).await;
            let answer = connection.receive().await.unwrap();
            assert_eq!(answer.status, 200);
            let expected = if number == 100 { "close" } else { "Keep-Alive" };
            assert_eq!(answer.header("Connection"), [expected], "request {number}");
            assert_eq!(answer.header("Server"), ["pve-api-daemon/3.0"]);
            assert_eq!(answer.header("Content-Type"), ["application/json;charset=UTF-8"]);
        }
        assert!(connection.receive().await.is_none(), "closed after the last");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_five_seconds() {
    let lab = Lab::new(recorded()).await;
    let mut connection = Connection::daemon(&lab.sim).await;
    connection.send(&lab.request("GET", "/version", "")).await;
    connection.receive().await.unwrap();
    let start = Instant::now();
    assert!(connection.receive().await.is_none());
    let idle = start.elapsed();
    assert!(idle > Duration::from_millis(4800) && idle < Duration::from_secs(8), "{idle:?}");
}

#[tokio::test]
async fn a_protected_method_by_the_proxy_says_both_and_closes() {
    let lab = Lab::new(recorded()).await;
    let path = "/nodes/pve1/qemu/104/config";
    let mut connection = Connection::proxy(&lab.sim).await;
    connection.send(&lab.request("PUT", path, "tags=a")).await;
    let answer = connection.receive().await.unwrap();
    assert_eq!((answer.status, answer.header("Connection")), (200, vec!["close", "Keep-Alive"]));
    assert!(connection.receive().await.is_none());
    // The daemon itself keeps it.
    let mut connection = Connection::daemon(&lab.sim).await;
    for _ in 0..2 {
        connection.send(&lab.request("PUT", path, "tags=b")).await;
        assert_eq!(connection.receive().await.unwrap().header("Connection"), ["Keep-Alive"]);
    }
}

#[tokio::test]
async fn credentials_are_refused_with_an_empty_body_and_a_close() {
    let lab = Lab::new(recorded()).await;
    let token = lab.token.clone();
    for (header, reason) in [
        (String::new(), "No ticket"),
        ("Authorization: Bearer x\r\n".to_owned(), "No ticket"),
        ("Authorization: PVEAPIToken=root@pam!t1=wrong\r\n".to_owned(), "Authentication failed!"),
        ("Authorization: PVEAPIToken=nonsense\r\n".to_owned(), "Authentication failed!"),
        (format!("Authorization: PVEAPIToken={}x\r\n", token), "Authentication failed!"),
    ] {
        let mut connection = Connection::proxy(&lab.sim).await;
        connection.send(&format!("GET /api2/json/version HTTP/1.1\r\nHost: x\r\n{header}\r\n")).await;
        let answer = connection.receive().await.unwrap();
        assert_eq!((answer.status, answer.reason.as_str()), (401, reason), "{header}");
        assert!(answer.body.is_empty());
    }
    // What the world may see needs none.
    let mut connection = Connection::proxy(&lab.sim).await;
    connection.send("GET /api2/json/access/domains HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(connection.receive().await.unwrap().status, 200);
}

#[tokio::test]
async fn status_lines_are_the_nodes_own() {
    let lab = Lab::new(recorded()).await;
    for (method, path, form, status, reason) in [
        ("DELETE", "/version", "", 501, "Method 'DELETE /version' not implemented"),
        ("GET", "/no/such", "", 501, "Method 'GET /no/such' not implemented"),
        ("PUT", "/nodes/pve1/qemu/104/config", "nonsense=1", 400, "Parameter verification failed."),
        (
            "GET",
            "/nodes/pve1/qemu/999/config",
            "",
            500,
            "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist",
        ),
        ("GET", "/storage/none", "", 500, "storage 'none' does not exist"),
        (
            "GET",
            "/nodes/pve9/status",
            "",
            500,
            "hostname lookup 'pve9' failed - failed to get address info for: pve9: Name or service not known",
        ),
        (
            "PUT",
            "/nodes/pve1/qemu/104/config",
            "tags=x&digest=0000000000000000000000000000000000000000",
            500,
            "detected modified configuration - file changed by other user? Try again.",
        ),
        (
            "DELETE",
            "/nodes/pve1/qemu/105",
            "",
            500,
            "unable to remove VM 105 - used in HA resources and purge parameter not set.",
        ),
        (
            "PUT",
            "/nodes/pve1/lxc/101/config",
            "mp1=%2Fsrv%2Cmp%3D%2Fsrv",
            403,
            "Permission check failed (mount point type bind is only allowed for root@pam)",
        ),
    ] {
        let answer = lab.by_proxy(method, path, form).await;
        assert_eq!((answer.status, answer.reason.as_str()), (status, reason), "{method} {path}");
        let body = answer.json();
        assert!(body["data"].is_null(), "{method} {path}");
        assert_eq!(body["message"].as_str().unwrap().lines().next(), Some(reason));
        assert_eq!(body.get("errors").is_some(), status == 400);
    }
}

#[tokio::test]
async fn every_wrong_parameter_is_named_at_once() {
    let lab = Lab::new(recorded()).await;
    let form = "cores=zero&memory=2048&nonsense=1&sockets=0&bios=none";
    let answer = lab.call("PUT", "/nodes/pve1/qemu/104/config", form).await;
    assert_eq!(answer.status, 400);
    let errors = answer.json()["errors"].clone();
    assert_eq!(errors["cores"], "type check ('integer') failed - got 'zero'");
    assert_eq!(errors["sockets"], "value must have a minimum value of 1");
    assert_eq!(
        errors["nonsense"],
        "property is not defined in schema and the schema does not allow additional properties"
    );
    assert_eq!(errors["bios"], "value 'none' does not have a value in the enumeration 'seabios, ovmf'");
    assert_eq!(errors.as_object().unwrap().len(), 4);
}

#[tokio::test]
async fn what_only_a_format_finds_wrong_is_named_with_the_rest() {
    let lab = Lab::new(recorded()).await;
    let form = "foo=1&memory=abc&cores=0&net0=virtio%2Ctag%3D9999";
    let answer = lab.call("PUT", "/nodes/pve1/qemu/102/config", form).await;
    assert_eq!(answer.status, 400);
    let errors = answer.json()["errors"].clone();
    let named: Vec<&String> = errors.as_object().unwrap().keys().collect();
    assert_eq!(named.len(), 4, "{errors}");
    for name in ["foo", "memory", "cores", "net0"] {
        assert!(errors[name].is_string(), "{name}: {errors}");
    }
}

#[tokio::test]
async fn a_boolean_in_a_form_is_0_or_1() {
    let lab = Lab::new(recorded()).await;
    for word in ["true", "on", "yes", "false", "TRUE"] {
        let answer = lab.call("PUT", "/nodes/pve1/qemu/104/config", &format!("onboot={word}")).await;
        let said = format!("type check ('boolean') failed - got '{word}'");
        assert_eq!((answer.status, &answer.json()["errors"]["onboot"]), (400, &said.into()));
    }
    assert_eq!(lab.call("PUT", "/nodes/pve1/qemu/104/config", "onboot=1").await.status, 200);
}

#[tokio::test]
async fn every_refusal_ends_its_connection() {
    let lab = Lab::new(recorded()).await;
    for (method, path, form, status) in [
        ("GET", "/no/such", "", 501),
        ("PUT", "/nodes/pve1/qemu/104/config", "nonsense=1", 400),
        ("GET", "/storage/none", "", 500),
    ] {
        for mut connection in [Connection::daemon(&lab.sim).await, Connection::proxy(&lab.sim).await] {
            connection.send(&lab.request(method, path, form)).await;
            let answer = connection.receive().await.unwrap();
            assert_eq!(answer.status, status, "{path}");
            assert!(answer.header("Connection").contains(&"close"), "{path}");
            assert!(connection.receive().await.is_none(), "{path}");
        }
    }
}

#[tokio::test]
async fn the_root_lists_what_is_below_it() {
    let lab = Lab::new(recorded()).await;
    for path in ["", "/"] {
        let rows = lab.get(path).await;
        let mut names: Vec<&str> =
            rows.as_array().unwrap().iter().map(|row| row["subdir"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["access", "cluster", "nodes", "pools", "storage", "version"]);
    }
    let mut connection = Connection::proxy(&lab.sim).await;
    connection.send("GET /api2/json/ HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(connection.receive().await.unwrap().status, 401);
}

#[tokio::test]
async fn a_raw_equals_sign_in_a_form_cuts_the_value() {
    let lab = Lab::new(recorded()).await;
    let path = "/nodes/pve1/qemu/104/config";
    lab.call("PUT", path, "startup=order=3").await;
    assert_ne!(lab.get(path).await["startup"], "order=3");
    assert_eq!(lab.call("PUT", path, "startup=order%3D4").await.status, 200);
    assert_eq!(lab.get(path).await["startup"], "order=4");
}

#[tokio::test]
async fn json_bodies_are_taken_too() {
    let lab = Lab::new(recorded()).await;
    let body = r#"{"tags":"a;b","cores":3,"onboot":true}"#;
    let request = lab.request("PUT", "/nodes/pve1/qemu/104/config", "x").replace(
        "application/x-www-form-urlencoded\r\nContent-Length: 1\r\n\r\nx",
        &format!("application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
    );
    let mut connection = Connection::daemon(&lab.sim).await;
    connection.send(&request).await;
    assert_eq!(connection.receive().await.unwrap().status, 200);
    let config = lab.get("/nodes/pve1/qemu/104/config").await;
    assert_eq!((&config["tags"], &config["cores"], &config["onboot"]), (&"a;b".into(), &3.into(), &1.into()));
}

#[tokio::test]
async fn a_path_is_decoded_whole_and_volumes_may_stand_either_way() {
    let lab = Lab::new(recorded()).await;
    let encoded = lab.get("/nodes/pve1/storage/fast/content/fast%3A110%2Fvm-110-disk-0.raw").await;
    let plain = lab.get("/nodes/pve1/storage/fast/content/fast:110/vm-110-disk-0.raw").await;
    assert_eq!(encoded, plain);
    // An encoded slash elsewhere is a slash.
    assert_eq!(lab.call("GET", "/nodes/pve1%2Fqemu", "").await.status, 200);
    assert_eq!(lab.call("GET", "/nodes/..%2F..%2Fetc", "").await.status, 501);
}

#[tokio::test]
async fn pvedaemon_forwards_nothing_and_the_proxy_does() {
    let lab = Lab::new(demo(30, &[])).await;
    let path = "/nodes/pve2/qemu";
    let answer = lab.call("GET", path, "").await;
    assert_eq!((answer.status, answer.reason.as_str()), (500, "proxy not allowed"));
    let answer = lab.by_proxy("GET", path, "").await;
    assert_eq!(answer.header("Connection"), ["close", "Keep-Alive"]);
    assert!(!answer.data().as_array().unwrap().is_empty());
}

#[tokio::test]
async fn long_answers_are_compressed_if_that_is_asked_for() {
    use std::io::Read;
    let lab = Lab::new(demo(50, &[])).await;
    let request = lab.request("GET", "/cluster/resources", "");
    let request = request.replace("Host: localhost\r\n", "Host: localhost\r\nAccept-Encoding: gzip\r\n");
    let mut connection = Connection::proxy(&lab.sim).await;
    connection.send(&request).await;
    let answer = connection.receive().await.unwrap();
    assert_eq!(answer.header("Content-Encoding"), ["gzip"]);
    let mut text = String::new();
    flate2::read::GzDecoder::new(&answer.body[..]).read_to_string(&mut text).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["data"].is_array());
}

#[tokio::test]
async fn keys_come_in_no_fixed_order() {
    let lab = Lab::new(demo(50, &[])).await;
    for path in ["/cluster/resources?type=vm", "/nodes/pve1/qemu", "/access/roles"] {
        let body = lab.call("GET", path, "").await.body;
        let text = String::from_utf8(body).unwrap();
        let rows = text.split('{').skip(2);
        let first: std::collections::BTreeSet<&str> = rows.filter_map(|row| row.split('"').nth(1)).collect();
        assert!(first.len() > 1, "{path}: each row begins with {first:?}");
    }
}

#[tokio::test]
async fn no_session_is_resumed() {
    use rustls::pki_types::pem::PemObject;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let lab = Lab::new(recorded()).await;
    let mut roots = rustls::RootCertStore::empty();
    let pem = std::fs::read(&lab.sim.certificate).unwrap();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    for _ in 0..2 {
        let tcp = tokio::net::TcpStream::connect(lab.sim.url.trim_start_matches("https://")).await.unwrap();
        let mut stream = connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap();
        stream.write_all(lab.request("GET", "/version", "").as_bytes()).await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        let (_, session) = stream.get_ref();
        assert_eq!(session.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
        assert_eq!(session.handshake_kind(), Some(rustls::HandshakeKind::Full));
        assert_eq!(session.tls13_tickets_received(), 0);
    }
}

#[tokio::test]
async fn a_refusal_that_was_forwarded_ends_the_connection_too() {
    let lab = Lab::new(recorded()).await;
    let mut connection = Connection::proxy(&lab.sim).await;
    connection.send(&lab.request("PUT", "/nodes/pve1/qemu/104/config", "digest=00&tags=x")).await;
    let answer = connection.receive().await.unwrap();
    assert!(answer.status >= 400);
    assert_eq!(answer.header("Connection"), ["close", "Keep-Alive"]);
    assert!(connection.receive().await.is_none());
}

#[tokio::test]
async fn most_writes_answer_null_and_a_new_storage_itself() {
    let lab = Lab::new(recorded()).await;
    assert!(lab.call("POST", "/pools", "poolid=x").await.data().is_null());
    assert!(lab.call("PUT", "/nodes/pve1/qemu/104/config", "tags=x").await.data().is_null());
    assert!(lab.call("PUT", "/nodes/pve1/lxc/101/config", "tags=x").await.data().is_null());
    let made = lab.call("POST", "/storage", "storage=more&type=dir&path=%2Fmore").await.data();
    assert_eq!((&made["storage"], &made["type"]), (&"more".into(), &"dir".into()), "{made}");
    assert_eq!(lab.get("/cluster/nextid").await, "100");
}
