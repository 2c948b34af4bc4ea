//! A simulated Proxmox VE cluster that speaks PVE's REST, for tests and for trying Provost without Proxmox.
//!
//! In: requests as pveproxy (TLS) and pvedaemon (plain, loopback) take them, with API tokens. Out: what a real node
//! would answer, status lines, odd number types and habits of the connection included, from an estate in memory that is
//! also written as an `/etc/pve` tree. It is as strict as the real one and never kinder; where PVE checks, this checks.
//! It must never touch a real guest, and no released program holds it.

mod answer;
mod api;
mod auth;
pub mod backup;
mod call;
mod control;
mod described;
mod disorder;
mod dispatch;
pub mod estate;
mod etc_pve;
mod fault;
mod http;
mod keeper;
pub mod machine;
mod permission;
mod route;
mod shape;
mod task;
pub mod vault;
mod verify;
mod worker;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::catalog::{Catalog, Method, Release};
use estate::Estate;
use etc_pve::EtcPve;
use fault::{Faults, Trap};
use keeper::Keeper;
use route::Routes;

pub use control::SOCKET;
pub use fault::{Fault, HUGE, UnknownFault};
/// The certificate of a stand-in, for what is not simulated.
pub use http::listen::Identity;

/// What is simulated, and where it can be reached.
pub struct Options {
    /// Gets `etc-pve/`, `pve-ssl.pem`, `pve-token` and the control socket.
    pub dir: PathBuf,
    pub estate: Estate,
    /// pveproxy's address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// pvedaemon's.
    pub daemon: SocketAddr,
    /// What its API is: a node of another release has another.
    pub catalog: Catalog,
    /// How many times faster than a real node workers are; `None`: they have ended before they are answered.
    pub speed: Option<f64>,
    /// Whether the next one in `dir` goes on where this one stopped, however it stopped.
    pub keep: bool,
    /// Whether `/cluster/resources` is made for each who asks, as a real node does it; otherwise once for each version of the
    /// estate, as most who try something else would only wait for it.
    pub anew: bool,
}

impl Options {
    /// Free ports on loopback, PVE 9.2 and no waiting.
    pub fn new(dir: impl Into<PathBuf>, estate: Estate) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let catalog = Catalog::embedded(Release::V9_2);
        Self {
            dir: dir.into(),
            estate,
            listen: any,
            daemon: any,
            catalog,
            speed: None,
            keep: false,
            anew: false,
        }
    }
}

#[derive(Debug, Error)]
pub enum SimError {
    #[error("cannot write the simulated cluster's files under {dir}: {source}")]
    Files { dir: PathBuf, source: io::Error },
    #[error("cannot listen on {address}: {source}; is another one running there? choose another address")]
    Listen { address: SocketAddr, source: io::Error },
}

/// A running cluster; it ends when this is dropped.
pub struct Sim {
    /// `https://127.0.0.1:PORT`
    pub url: String,
    /// `http://127.0.0.1:PORT`
    pub daemon_url: String,
    /// The leaf to pin.
    pub certificate: PathBuf,
    /// `root@pam!t1=…`: a token without separation, in a file that is its owner's alone. Other users' are beside it:
    /// `pve-token-agent` is one that may only look.
    pub token: PathBuf,
    pub etc_pve: PathBuf,
    /// For [`Fault`]s from outside this process, a line each.
    pub control: PathBuf,
    shared: Arc<Shared>,
    _listeners: JoinSet<()>,
}

/// The token that every estate has: it may do all that a token can.
pub const ROOT_TOKEN: &str = "root@pam!t1";

impl Sim {
    /// Within a tokio runtime, on which it runs.
    pub async fn start(options: Options) -> Result<Self, SimError> {
        let listener = bind(options.listen).await?;
        let daemon = bind(options.daemon).await?;
        let dir = options.dir.clone();
        let files = |source| SimError::Files { dir: dir.clone(), source };
        let shared = Arc::new(Shared::new(options).map_err(files)?);
        let token = dir.join("pve-token");
        shared.write_tokens(&dir).map_err(files)?;

        let address = |listener: &TcpListener| listener.local_addr().map_err(files);
        let (url, daemon_url) =
            (format!("https://{}", address(&listener)?), format!("http://{}", address(&daemon)?));
        let control = dir.join(control::SOCKET);
        let mut listeners = JoinSet::new();
        listeners.spawn(http::listen::proxy(Arc::clone(&shared), listener));
        listeners.spawn(http::listen::pvedaemon(Arc::clone(&shared), daemon));
        listeners.spawn(control::serve(Arc::clone(&shared), control::bind(&control).map_err(files)?));
        Ok(Self {
            url,
            daemon_url,
            certificate: shared.certificate.clone(),
            token,
            etc_pve: dir.join("etc-pve"),
            control,
            shared,
            _listeners: listeners,
        })
    }

    /// Until [`Sim::heal`].
    pub fn fault(&self, fault: Fault) {
        self.fault_at(fault, "", None);
    }

    /// Where `METHOD /path` (or a task's UPID) holds `pattern`, so many times.
    pub fn fault_at(&self, fault: Fault, pattern: &str, times: Option<u32>) {
        self.shared.set_fault(Trap { fault, pattern: pattern.to_owned(), times });
    }

    pub fn heal(&self) {
        self.shared.clear_faults();
    }

    /// What is true, for a test to compare with.
    pub fn with_estate<T>(&self, look: impl FnOnce(&mut Estate) -> T) -> T {
        self.shared.change(look)
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, SimError> {
    TcpListener::bind(address).await.map_err(|source| SimError::Listen { address, source })
}

/// What all connections share.
pub(crate) struct Shared {
    state: Mutex<State>,
    catalog: Catalog,
    routes: Routes,
    faults: Faults,
    identity: Identity,
    /// In the estate's folder, beside the tree.
    certificate: PathBuf,
    options: Settings,
    resources: api::resources::Cache,
}

struct Settings {
    speed: Option<f64>,
    anew: bool,
}

struct State {
    estate: Estate,
    etc_pve: EtcPve,
    kept: Option<Keeper>,
}

impl Shared {
    fn new(options: Options) -> io::Result<Self> {
        let Options { dir, mut estate, catalog, speed, keep, anew, .. } = options;
        let kept = if keep { Some(Keeper::take_up(&dir, &mut estate)?) } else { None };
        if catalog.template(Method::Get, "/cluster/ha/rules").is_none() {
            estate.access_mut().earlier = estate::access::roles::OF_8;
        }
        let etc_pve = EtcPve::new(dir.join("etc-pve"), &estate)?;
        let certificate = dir.join("pve-ssl.pem");
        let node = estate.local().name.clone();
        let (identity, fingerprint) = Identity::make(&node, &certificate)?;
        if let Some(local) = estate.node_mut(&node) {
            local.fingerprint = fingerprint;
        }
        let routes = Routes::new(&catalog, api::rows());
        let shared = Self {
            state: Mutex::new(State { estate, etc_pve, kept }),
            catalog,
            routes,
            faults: Faults::default(),
            identity,
            certificate,
            options: Settings { speed, anew },
            resources: api::resources::Cache::default(),
        };
        shared.copy_certificate()?;
        {
            let State { estate, etc_pve, .. } = &mut *shared.lock();
            etc_pve.sync(estate)?;
        }
        Ok(shared)
    }

    /// The copy in the tree, at the name by which a real node's agent finds it.
    fn copy_certificate(&self) -> io::Result<()> {
        let pem = fs::read(&self.certificate)?;
        let state = self.lock();
        let node = &state.estate.local().name;
        etc_pve::replace(&state.etc_pve.root().join("nodes").join(node).join("pve-ssl.pem"), &pem)
    }

    /// The superuser's into `pve-token`, each other user's into `pve-token-USER`; their owner's alone.
    fn write_tokens(&self, dir: &Path) -> io::Result<()> {
        let state = self.lock();
        for (name, user) in &state.estate.access().users {
            for (id, token) in &user.tokens {
                let id = format!("{name}!{id}");
                let file = if id == ROOT_TOKEN {
                    "pve-token".to_owned()
                } else {
                    format!("pve-token-{}", name.split('@').next().unwrap_or_default())
                };
                write_secret(&dir.join(file), &format!("{id}={}\n", token.secret))?;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the estate, and writes what changed before anybody else sees it.
    fn change<T>(&self, work: impl FnOnce(&mut Estate) -> T) -> T {
        let mut state = self.lock();
        let State { estate, etc_pve, kept } = &mut *state;
        let result = work(estate);
        if let Some(Err(error)) = kept.as_mut().map(|kept| kept.keep(estate)) {
            tracing::error!("the simulated cluster could not be kept: {error}");
        }
        if let Err(error) = etc_pve.sync(estate) {
            tracing::error!(
                "the simulated /etc/pve at {} could not be written: {error}",
                etc_pve.root().display()
            );
        }
        result
    }

    fn set_fault(&self, trap: Trap) {
        match &trap.fault {
            Fault::NoQuorum => self.change(|estate| estate.cut_off = true),
            Fault::NodeGone(name) => self.change(|estate| set_online(estate, name, false)),
            Fault::Locked(vmid, word) => self.change(|estate| {
                if let Some(guest) = estate.guest_mut(*vmid) {
                    guest.config.insert("lock".to_owned(), word.clone());
                }
            }),
            Fault::Renewed => {
                let node = self.lock().estate.local().name.clone();
                let renewed = self.identity.renew(&node, &self.certificate).and_then(|fingerprint| {
                    self.change(|estate| {
                        if let Some(node) = estate.node_mut(&node) {
                            node.fingerprint = fingerprint;
                        }
                    });
                    self.copy_certificate()
                });
                if let Err(error) = renewed {
                    tracing::error!("the simulated certificate could not be renewed: {error}");
                }
                return;
            }
            _ => {}
        }
        self.faults.set(trap);
    }

    fn clear_faults(&self) {
        let set = self.faults.clear();
        self.change(|estate| {
            for trap in set {
                let Fault::Locked(vmid, word) = trap.fault else { continue };
                if let Some(guest) =
                    estate.guest_mut(vmid).filter(|guest| guest.config.get("lock") == Some(&word))
                {
                    guest.config.remove("lock");
                }
            }
            let names: Vec<String> = estate.nodes.iter().map(|node| node.name.clone()).collect();
            names.iter().for_each(|name| set_online(estate, name, true));
            estate.cut_off = false;
        });
    }
}

fn write_secret(file: &Path, text: &str) -> io::Result<()> {
    use io::Write;
    let _ = fs::remove_file(file);
    let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    out.write_all(text.as_bytes())
}

fn set_online(estate: &mut Estate, name: &str, online: bool) {
    if let Some(node) = estate.node_mut(name) {
        node.online = online;
    }
}

impl Shared {
    /// What the catalogue says of a method.
    fn endpoint(&self, method: crate::catalog::Method, template: &str) -> Option<&crate::catalog::Endpoint> {
        self.catalog.template(method, template)
    }
}

/// The methods that have a state here, by their templates: all others answer by their declared shape.
pub fn answered() -> impl Iterator<Item = (crate::catalog::Method, &'static str)> {
    api::TABLES.iter().copied().flatten().map(|(method, path, _)| (*method, *path))
}
