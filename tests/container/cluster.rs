//! A simulated cluster of which one container is really there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use provost::sim::estate::demo;
use provost::sim::{Options, Sim};

use crate::common::node::AGENT;

/// The cluster, and what it runs on.
pub struct Cluster {
    dir: tempfile::TempDir,
    pub sim: Sim,
    _runtime: tokio::runtime::Runtime,
}

impl Cluster {
    /// With this container on its first node, whose configuration has these values.
    pub fn with(vmid: u32, settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::Builder::new().prefix("provost-cluster-").tempdir().expect("a directory");
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).expect("mode");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("runtime");
        let mut estate = demo(20, &[vmid]);
        let config = &mut estate.guest_mut(vmid).expect("the container").config;
        config.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let sim = runtime.block_on(Sim::start(Options::new(dir.path(), estate))).expect("a cluster");
        // The agent reads its token as the account that it is.
        chown(&sim.token, Some(AGENT), None).expect("chown");
        Self { dir, sim, _runtime: runtime }
    }

    /// What a configuration says of it.
    pub fn section(&self) -> String {
        format!(
            "[pve]\nurl = \"{}\"\ndaemon = \"{}\"\ntoken = \"{}\"\ncertificate = \"{}\"\netc_pve = \"{}\"\n\
             apidoc = \"{}/none\"\n",
            self.sim.url,
            self.sim.daemon_url,
            self.sim.token.display(),
            self.sim.certificate.display(),
            self.sim.etc_pve.display(),
            self.dir.path().display(),
        )
    }
}
