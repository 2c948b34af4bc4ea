//! Provost's client and a Backup Server: the token's form, refusals in words, tasks with a number of their own.

use std::time::{Duration, Instant};

use provost::pve::task::{Outcome, follow};
use provost::pve::{Failure, Path, PveError, Read, Upid, Write};
use provost::sim::backup::{BackupSim, Options, Server};
use serde_json::Value;

use crate::site::client_of;

fn read(path: &str) -> Read {
    Read::new(Path::parse(path).unwrap())
}

async fn started() -> (tempfile::TempDir, BackupSim) {
    let dir = tempfile::tempdir().unwrap();
    let sim = BackupSim::start(Options::new(dir.path(), Server::demo())).await.unwrap();
    (dir, sim)
}

#[tokio::test]
async fn a_token_in_the_servers_own_form_is_let_in_and_another_is_not() {
    let (dir, sim) = started().await;
    let client = client_of(&sim, &sim.token);
    assert_eq!(client.token_id().unwrap(), "root@pam!t1");
    let answer = client.get(&read("/version")).await.unwrap();
    assert_eq!(answer.data::<Value>().unwrap()["version"], "4.1");
    let wrong = dir.path().join("wrong");
    std::fs::write(&wrong, "root@pam!t1=99999999-2222-4333-8444-555555555555\n").unwrap();
    std::fs::set_permissions(&wrong, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let error = client_of(&sim, &wrong).get(&read("/version")).await.unwrap_err();
    assert!(
        matches!(&error, PveError::Unauthorized { message, .. } if message.contains("invalid credentials")),
        "{error}"
    );
}

#[tokio::test]
async fn each_refusal_in_words_is_the_kind_that_it_is() {
    let (dir, sim) = started().await;
    let client = client_of(&sim, &sim.token);
    let refused = async |path: &str| client.get(&read(path)).await.unwrap_err();
    let error = refused("/admin/datastore/nowhere/groups").await;
    assert!(matches!(&error, PveError::Failed { failure: Failure::NoSuchThing, .. }), "{error:?}");
    assert!(matches!(refused("/nothing/here").await, PveError::NotFound { .. }));
    let write = Write::post(Path::parse("/admin/datastore/tank/prune").unwrap()).with("keep", "1").unwrap();
    let error = client.send(write).await.unwrap_err();
    let PveError::BadParameters { errors, .. } = &error else { panic!("{error:?}") };
    let names: Vec<&str> = errors.keys().map(String::as_str).collect();
    assert_eq!(names, ["backup-id", "backup-type", "keep"]);
    // Somebody who may only back up into one namespace.
    let token = dir.path().join("bob");
    std::fs::write(&token, "bob@pbs!team:33333333-4444-4555-8666-777777777777\n").unwrap();
    std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let bob = client_of(&sim, &token);
    let error = bob.get(&read("/admin/datastore/tank/gc")).await.unwrap_err();
    assert!(matches!(error, PveError::Forbidden { .. }), "{error:?}");
    let own = Read::new(Path::parse("/admin/datastore/tank/groups").unwrap()).with("ns", "team").unwrap();
    assert_eq!(bob.get(&own).await.unwrap().data::<Vec<Value>>().unwrap().len(), 1);
}

#[tokio::test]
async fn a_task_is_known_by_its_number_and_followed_to_its_end() {
    let (_dir, sim) = started().await;
    let client = client_of(&sim, &sim.token);
    let write = Write::post(Path::parse("/admin/datastore/tank/gc").unwrap());
    let upid: Upid = client.send(write).await.unwrap().data().unwrap();
    assert_eq!((upid.node.as_str(), upid.kind.as_str(), upid.task), ("pbs1", "garbage_collection", Some(0)));
    let mut lines = Vec::new();
    let outcome = follow(&client, &upid, |line| lines.push(line.text)).await.unwrap();
    assert_eq!(outcome, Outcome::Done);
    assert_eq!(lines.last().map(String::as_str), Some("TASK OK"));
}

/// Slow over a refusal, as the real one is, it is still not taken for one that hangs.
#[tokio::test]
async fn a_refusal_that_takes_three_seconds_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let sim = BackupSim::start(Options::new(dir.path(), Server::demo()).as_slow()).await.unwrap();
    sim.with_server(|server| server.tokens.clear());
    let began = Instant::now();
    let error = client_of(&sim, &sim.token).get(&read("/version")).await.unwrap_err();
    assert!(
        matches!(error, PveError::Unauthorized { .. }) && began.elapsed() >= Duration::from_secs(3),
        "{error}"
    );
}
