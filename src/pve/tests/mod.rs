//! The client against a server that behaves as badly as the real ones do, and worse.

mod answers;
mod connections;
mod limits;
mod pinning;
mod routing;
mod secrets;
mod server;
mod tasks;
mod wedged;
mod writes;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use super::circuit::Patience;
use super::{Client, Limits, Options, Path, Read, Write};
use server::Identity;

/// A secret that occurs nowhere else.
pub const SECRET: &str = "5ec0de00-feed-4bad-8cab-0123456789ab";

/// The files of a node, and a client of it that is yet to be pointed at a server.
pub struct Node {
    pub place: tempfile::TempDir,
    pub options: Options,
    pub identity: Identity,
}

impl Node {
    pub fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let identity = Identity::new();
        let certificate = place.path().join("pve-ssl.pem");
        std::fs::write(&certificate, &identity.pem).unwrap();
        let token = place.path().join("token");
        write_token(&token, SECRET);
        let limits = Limits {
            backoff: Duration::from_millis(5),
            patience: Patience { failures: 1000, ..Patience::default() },
            ..Limits::default()
        };
        let options = Options {
            product: crate::product::Product::Pve,
            // Nobody listens on port 1.
            url: "https://127.0.0.1:1".into(),
            daemon: String::new(),
            token,
            certificate,
            etc_pve: place.path().join("none"),
            node: Some("pve1".into()),
            limits,
        };
        Self { place, options, identity }
    }

    pub fn client(&self) -> Client {
        Client::new(self.options.clone()).unwrap()
    }

    /// A client of one plain server, as pvedaemon and as pveproxy both.
    pub fn client_of(mut self, server: &server::Server) -> (Self, Client) {
        self.options.url = server.url();
        let client = self.client();
        (self, client)
    }
}

pub fn write_token(path: &PathBuf, secret: &str) {
    std::fs::write(path, format!("agent@pve!t1={secret}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub fn read(path: &str) -> Read {
    Read::new(Path::parse(path).unwrap())
}

pub fn post(path: &str) -> Write {
    Write::post(Path::parse(path).unwrap())
}

/// Waits for what another task brings about; fails after ten seconds.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not within ten seconds: {what}");
}
