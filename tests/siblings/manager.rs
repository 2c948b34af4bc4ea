//! A whole `provostd` beside what stands in for a Datacenter Manager: what such a one has a remote do is followed there.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::{fs, io};

use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use provost::sim::Identity;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::house::{House, call, plan, refused};

const UPID: &str = "pve:east!UPID:pve7:00002578:00074193:6B012E72:qmstart:104:root@pam!pdm-admin:";
const START: &str = "/pve/remotes/east/qemu/104/start";

/// A manager of one remote whose one guest takes a while to start, and ends so.
struct Manager {
    _runtime: Runtime,
    _dir: tempfile::TempDir,
    asked: Arc<Mutex<Vec<String>>>,
    house: House,
}

/// What it says to `METHOD path`; `looks` were taken at the task before.
fn says(asked: &str, looks: &AtomicUsize, exit: &str) -> Option<Value> {
    let task = format!("GET /pve/remotes/east/tasks/{}", encoded(UPID));
    Some(if asked == format!("POST {START}") {
        json!(UPID)
    } else if asked == format!("{task}/status") {
        match looks.fetch_add(1, Ordering::SeqCst) {
            0..2 => json!({ "upid": UPID, "status": "running" }),
            _ => json!({ "upid": UPID, "status": "stopped", "exitstatus": exit }),
        }
    } else if asked.starts_with(&format!("{task}/log")) {
        json!([{ "n": 1, "t": "generating cloud-init ISO" }])
    } else if asked.starts_with("GET /version") {
        json!({ "version": "1.0", "release": "1", "repoid": "x" })
    } else {
        return None;
    })
}

fn encoded(text: &str) -> String {
    provost::http::encoded(text).to_string()
}

impl Manager {
    fn whose_task_ends(exit: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, token) = (dir.path().join("api.pem"), dir.path().join("token"));
        fs::write(&token, "root@pam!t1=b1946ac9-2491-4d3a-8f0e-111111111111\n").unwrap();
        fs::set_permissions(&token, PermissionsExt::from_mode(0o600)).unwrap();
        let (identity, _) = Identity::make("pdm1", &certificate).unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let (asked, looks) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let heard = asked.clone();
        runtime.spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (acceptor, heard, looks) = (identity.acceptor(), heard.clone(), looks.clone());
                tokio::spawn(async move {
                    let connection = TokioIo::new(acceptor.accept(connection).await?);
                    let service = service_fn(async |request: Request<Incoming>| {
                        let path = request.uri().to_string().replacen("/api2/json", "", 1);
                        let asked = format!("{} {path}", request.method());
                        heard.lock().unwrap().push(asked.clone());
                        let said = says(&asked, &looks, exit);
                        let status = if said.is_some() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
                        let body = said
                            .map_or("no such thing".to_owned(), |data| json!({ "data": data }).to_string());
                        Response::builder()
                            .status(status)
                            .header("content-type", "application/json")
                            .body(http_body_util::Full::new(Bytes::from(body)))
                    });
                    http1::Builder::new()
                        .serve_connection(connection, service)
                        .await
                        .map_err(io::Error::other)
                });
            }
        });
        let told = format!(
            "[pve]\nproduct = \"datacenter\"\nurl = \"{url}\"\ntoken = \"{}\"\ncertificate = \"{}\"\napidoc = \"/nowhere\"\n",
            token.display(),
            certificate.display(),
        );
        Self {
            house: House::beside(&told, "profile = \"full\"\napproval = []"),
            asked,
            _dir: dir,
            _runtime: runtime,
        }
    }

    /// How often it was asked for this.
    fn times(&self, what: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.contains(what)).count()
    }
}

#[test]
fn what_a_remote_does_is_followed_to_its_end() {
    for (exit, result) in [("OK", "done"), ("WARNINGS: 1", "warnings"), ("timeout: no zvol device", "failed")]
    {
        let manager = Manager::whose_task_ends(exit);
        let mut client = manager.house.client();
        let planned = plan(&mut client, "POST", START, json!({}));
        let applied = client.call("apply", json!({ "plan_id": planned["plan_id"] }));
        assert_eq!(applied["isError"], result == "failed", "{applied:#}");
        let applied = &applied["structuredContent"];
        assert_eq!((&applied["result"], &applied["upid"]), (&json!(result), &json!(UPID)), "{applied:#}");
        assert!(applied["log"].to_string().contains("cloud-init"), "{applied:#}");
        assert_eq!(manager.times("POST "), 1);
        let record = manager.house.record();
        assert!(record.contains(UPID), "{record}");
        // By its name alone, and by the whole path.
        for path in [UPID.to_owned(), format!("/pve/remotes/east/tasks/{}/status", encoded(UPID))] {
            let followed = call(&mut client, "read", json!({ "path": path, "wait": 5 }));
            assert_eq!(followed["data"]["exitstatus"], exit, "{followed:#}");
            let seen = call(&mut client, "read", json!({ "path": path }));
            assert_eq!(seen["data"]["exitstatus"], exit, "{seen:#}");
        }
    }
}

#[test]
fn what_is_no_task_of_a_remote_s_is_not_asked_for() {
    let manager = Manager::whose_task_ends("OK");
    let mut client = manager.house.client();
    for path in [
        UPID.replace("pve:east", "pmg:east"),
        UPID.replace("pve:east", "pve:../east"),
        UPID.replace("UPID:pve7", "UPID:"),
    ] {
        refused(&mut client, "read", json!({ "path": path, "wait": 5 }));
    }
    assert_eq!(manager.times("tasks"), 0);
}
