//! `provost demo`: a simulated cluster, or a Backup Server, until SIGTERM or Ctrl-C, so that anybody can run Provost without
//! Proxmox.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use crate::catalog::{Catalog, Edition};
use crate::product::Product;
use crate::sim::backup::{self, BackupSim, Server};
use crate::sim::estate::{demo, now, recorded};
use crate::sim::{Options, Sim, vault};

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Simulated {
    Pve,
    Backup,
}

#[derive(Debug, Args)]
pub struct Arguments {
    /// Where the cluster's files go: etc-pve/, apidoc.js, pve-ssl.pem, pve-token and control.sock [default: a new
    /// directory, which is removed at the end]
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Whose API: a Proxmox VE cluster's, with a Backup Server that one of its storages names, or a Backup Server's alone
    #[arg(long, value_enum, default_value_t = Simulated::Pve)]
    pub product: Simulated,
    /// How many guests there are, over three nodes
    #[arg(long, default_value_t = 100)]
    pub guests: u32,
    /// The API's address; port 0 is one that is free
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// pvedaemon's address; the same
    #[arg(long, default_value = "127.0.0.1:0")]
    pub daemon: SocketAddr,
    /// How many times faster than on a real node tasks are
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// A running container of this id on the first node, for one that is really there; may be repeated
    #[arg(long = "container", value_name = "VMID")]
    pub containers: Vec<u32>,
    /// Make the list of all guests for each who asks, as a real node does, which takes it 0.1 s of ten thousand
    #[arg(long)]
    pub anew: bool,
    /// Keep the cluster in --dir as it changes, and go on with what is kept there
    #[arg(long, requires = "dir")]
    pub keep: bool,
    /// The small cluster of the recorded answers in place of a large one
    #[arg(long, conflicts_with_all = ["guests", "containers"])]
    pub recorded: bool,
}

pub const HELP: &str = "What it prints is the [pve] section of a provost.toml, for provostd --config FILE.";

/// sysexits' EX_UNAVAILABLE.
const UNAVAILABLE: u8 = 69;

pub fn run(arguments: &Arguments) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = runtime.and_then(|runtime| runtime.block_on(serve(arguments)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "provost demo: {error}");
            ExitCode::from(UNAVAILABLE)
        }
    }
}

async fn serve(arguments: &Arguments) -> io::Result<()> {
    if !arguments.speed.is_finite() || arguments.speed <= 0.0 {
        return Err(io::Error::other("--speed must be a number above 0"));
    }
    // Held to the end.
    let made = match arguments.dir {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("provost-demo-").tempdir()?),
    };
    let dir =
        arguments.dir.as_deref().or(made.as_ref().map(tempfile::TempDir::path)).unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir)?;
    // Before it is said to be there, so that whoever reads that may end it.
    let (mut terminated, mut interrupted) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (_up, told) = match arguments.product {
        Simulated::Pve => cluster(arguments, dir).await?,
        Simulated::Backup => server(arguments, dir).await.map(|(sim, told)| (Up::Server(sim), told))?,
    };
    let mut out = io::stdout().lock();
    let _ = out.write_all(told.as_bytes()).and_then(|()| out.flush());
    drop(out);
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    Ok(())
}

/// What runs until it is dropped.
#[expect(dead_code, reason = "held, and not looked at")]
enum Up {
    Cluster(Sim, Option<BackupSim>),
    Server(BackupSim),
}

async fn cluster(arguments: &Arguments, dir: &Path) -> io::Result<(Up, String)> {
    let estate = if arguments.recorded { recorded() } else { demo(arguments.guests, &arguments.containers) };
    let options = Options {
        listen: arguments.listen,
        daemon: arguments.daemon,
        speed: Some(arguments.speed),
        keep: arguments.keep,
        anew: arguments.anew,
        ..Options::new(dir, estate)
    };
    let apidoc = dir.join("apidoc.js");
    std::fs::write(&apidoc, options.catalog.to_script())?;
    let sim = Sim::start(options).await.map_err(io::Error::other)?;
    let (beside, of_it) = match arguments.recorded {
        true => (None, String::new()),
        false => vaulted(&sim, dir).await.map(|(beside, told)| (Some(beside), told))?,
    };
    let told = format!(
        "# A simulated cluster is up, until SIGTERM or Ctrl-C. All of this is for a provost.toml:\n\n[pve]\nurl         = \"{}\"\n\
         daemon      = \"{}\"\ntoken       = \"{}\"\ncertificate = \"{}\"\napidoc      = \"{}\"\netc_pve     = \"{}\"\n\n\
         {of_it}# Faults: a line to {}, as \"slow 500\"; \"heal\" ends them.\n",
        sim.url,
        sim.daemon_url,
        sim.token.display(),
        sim.certificate.display(),
        apidoc.display(),
        sim.etc_pve.display(),
        sim.control.display(),
    );
    Ok((Up::Cluster(sim, beside), told))
}

/// A Backup Server beside the cluster, which one of its storages names.
async fn vaulted(cluster: &Sim, dir: &Path) -> io::Result<(BackupSim, String)> {
    const DAY: u64 = 86_400;
    let dir = dir.join("backup-server");
    std::fs::create_dir_all(&dir)?;
    // Of last night.
    let newest = i64::try_from((now() - 2 * 3600) / DAY * DAY + 2 * 3600).unwrap_or_default();
    let sim = BackupSim::start(backup::Options::new(&dir, Server::saved_until(newest)).as_slow()).await?;
    cluster.with_estate(|estate| {
        sim.with_server(|server| vault::name(estate, server, sim.address, &sim.fingerprint));
    });
    let told = format!(
        "# The storage {} names a simulated Backup Server, which is up too: {}, by the token in {}.\n",
        vault::STORAGE,
        sim.url,
        sim.token.display(),
    );
    Ok((sim, told))
}

async fn server(arguments: &Arguments, dir: &Path) -> io::Result<(BackupSim, String)> {
    if arguments.keep || arguments.recorded || !arguments.containers.is_empty() {
        return Err(io::Error::other("--keep, --recorded and --container are a cluster's: --product pve"));
    }
    let apidoc = dir.join("apidoc.js");
    std::fs::write(&apidoc, Catalog::built_in(Edition::of(Product::Backup)).to_script())?;
    let options =
        backup::Options { listen: arguments.listen, ..backup::Options::new(dir, Server::demo()).as_slow() };
    let sim = BackupSim::start(options).await?;
    let told = format!(
        "# A simulated Backup Server is up, until SIGTERM or Ctrl-C. All of this is for a provost.toml:\n\n[pve]\n\
         product     = \"backup\"\nurl         = \"{}\"\ntoken       = \"{}\"\ncertificate = \"{}\"\napidoc      = \"{}\"\n",
        sim.url,
        sim.token.display(),
        sim.certificate.display(),
        apidoc.display(),
    );
    Ok((sim, told))
}
