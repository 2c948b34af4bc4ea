//! Starts as `provostd` does, and in place of serving tries what must be closed to it, and what must not be.
//!
//! In: a configuration, the layer to try (`all`, as the daemon; or one alone), and a file of what to try it on. Out: a line
//! of JSON: for each attempt 0, or the error number that the kernel answered.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::{ptrace, signal};
use nix::unistd::Pid;
use provost::policy::Rules;
use provost::{files, sandbox, serve};

/// Where the test has put what is to be tried.
#[derive(serde::Deserialize)]
struct Targets {
    /// A process outside that the kernel would let this account touch.
    pid: i32,
    /// Ports on loopback that somebody listens on: one that is configured, and one that is not.
    port: u16,
    other_port: u16,
    /// The name of an abstract socket that somebody listens on.
    abstract_name: String,
    /// A directory that this account may write to, and the daemon has no need of.
    outside: PathBuf,
    etc_pve: PathBuf,
    token: PathBuf,
    ledger: PathBuf,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments[1] == sandbox::reader::ARGUMENT {
        sandbox::reader::run(Path::new(&arguments[3])).expect("the reader");
        return;
    }
    let [_, config, layer, targets] = arguments.as_slice() else { panic!("trespass CONFIG LAYER TARGETS") };
    let targets: Targets = serde_json::from_slice(&fs::read(targets).expect("targets")).expect("targets");
    let rules = Rules::of(config.into()).expect("configuration");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let tried = runtime.block_on(async {
        let listening = serve::listen(&rules.now().listen).expect("listening");
        let needs = listening.needs(&rules.now()).expect("needs");
        match layer.as_str() {
            "none" => fs::create_dir_all(&targets.ledger).expect("the ledger's directory"),
            "all" => std::mem::forget(sandbox::confine(needs, Path::new(config)).expect("confined")),
            layer => sandbox::confine_by(layer, needs).expect("confined"),
        }
        attempts(Path::new(config), &targets)
    });
    println!("{}", serde_json::json!({ "tried": tried, "report": sandbox::report(true) }));
}

type Attempt<'a> = (&'a str, Box<dyn Fn() -> io::Result<()> + 'a>);

fn attempts(config: &Path, on: &Targets) -> BTreeMap<String, i32> {
    let pid = Pid::from_raw(on.pid);
    let read = |path: PathBuf| move || File::open(&path).map(drop);
    let handed = |path: PathBuf| move || files::open(&path).map(drop);
    let new = |path: PathBuf| move || OpenOptions::new().write(true).create_new(true).open(&path).map(drop);
    let etc_pve = |file: &str| on.etc_pve.join(file);
    let all: Vec<Attempt> = vec![
        // Files.
        ("list /root", Box::new(|| fs::read_dir("/root").map(drop))),
        ("open /etc/shadow", Box::new(read("/etc/shadow".into()))),
        ("open /etc/passwd", Box::new(read("/etc/passwd".into()))),
        ("open priv", Box::new(|| fs::read_dir(on.etc_pve.join("priv")).map(drop))),
        ("open a key", Box::new(read(etc_pve("nodes/pve1/pve-ssl.key")))),
        ("open the key beside storage.cfg", Box::new(read(etc_pve("pve-www.key")))),
        ("be handed priv", Box::new(handed(etc_pve("priv")))),
        ("be handed a file of priv", Box::new(handed(etc_pve("priv/authkey.pem")))),
        ("be handed a key", Box::new(handed(etc_pve("local/pve-ssl.key")))),
        ("be handed the key beside storage.cfg", Box::new(handed(etc_pve("pve-www.key")))),
        ("be handed /etc/shadow", Box::new(handed("/etc/shadow".into()))),
        ("be handed another file", Box::new(handed(on.outside.join("file")))),
        ("open another file", Box::new(read(on.outside.join("file")))),
        ("make a file", Box::new(new(on.outside.join("new")))),
        ("write a sysctl", Box::new(|| fs::write("/proc/self/oom_score_adj", "500"))),
        ("write the configuration", Box::new(|| OpenOptions::new().append(true).open(config).map(drop))),
        (
            "truncate another file",
            Box::new(|| nix::unistd::truncate(&on.outside.join("truncated"), 0).map_err(Into::into)),
        ),
        // Sockets.
        ("bind a port", Box::new(|| TcpListener::bind("127.0.0.1:0").map(drop))),
        ("bind a unix socket", Box::new(|| UnixListener::bind(on.ledger.join("socket")).map(drop))),
        ("make a datagram socket", Box::new(|| UdpSocket::bind("127.0.0.1:0").map(drop))),
        ("connect elsewhere", Box::new(|| TcpStream::connect(("127.0.0.1", on.other_port)).map(drop))),
        (
            "connect to an abstract socket",
            Box::new(|| {
                let name = SocketAddr::from_abstract_name(&on.abstract_name)?;
                UnixStream::connect_addr(&name).map(drop)
            }),
        ),
        // Other processes.
        (
            "ptrace",
            Box::new(|| {
                // Let go of when this process ends.
                Ok(ptrace::seize(pid, ptrace::Options::empty())?)
            }),
        ),
        ("signal", Box::new(|| Ok(signal::kill(pid, None)?))),
        ("run a program", Box::new(|| std::process::Command::new("/bin/true").status().map(drop))),
        (
            "read another process's arguments",
            Box::new(|| fs::read(format!("/proc/{}/cmdline", on.pid)).map(drop)),
        ),
        // Rights.
        (
            "mount",
            Box::new(|| {
                let none = None::<&str>;
                let here = on.outside.as_path();
                mount(Some("none"), here, Some("tmpfs"), MsFlags::empty(), none)?;
                Ok(nix::mount::umount(here)?)
            }),
        ),
        ("make a network namespace", Box::new(|| Ok(unshare(CloneFlags::CLONE_NEWNET)?))),
        (
            "enter a namespace",
            Box::new(|| Ok(setns(File::open("/proc/self/ns/uts")?, CloneFlags::CLONE_NEWUTS)?)),
        ),
        ("load a module", Box::new(|| Ok(nix::kmod::init_module(b"no module", c"")?))),
        ("set the host's name", Box::new(|| Ok(nix::unistd::sethostname(nix::unistd::gethostname()?)?))),
        (
            "gain a capability",
            Box::new(|| {
                let all = caps::all();
                caps::set(None, caps::CapSet::Permitted, &all).map_err(|_| io::Error::from(Errno::last()))
            }),
        ),
        ("become dumpable", Box::new(|| Ok(nix::sys::prctl::set_dumpable(true)?))),
        ("become somebody else", Box::new(|| Ok(nix::unistd::setgid(nix::unistd::Gid::from_raw(12345))?))),
        // What it needs.
        ("need: the configuration", Box::new(handed(config.into()))),
        ("need: the token", Box::new(handed(on.token.clone()))),
        ("need: storage.cfg", Box::new(handed(etc_pve("storage.cfg")))),
        ("need: the certificate", Box::new(handed(etc_pve("local/pve-ssl.pem")))),
        ("need: the nodes", Box::new(|| files::list(&on.etc_pve.join("nodes")).map(drop))),
        ("need: a guest", Box::new(read(etc_pve("nodes/pve1/lxc/101.conf")))),
        ("need: a node that came later", Box::new(handed(etc_pve("nodes/pve9/lxc/109.conf")))),
        (
            "need: to write the ledger",
            Box::new(|| {
                let (new, old) = (on.ledger.join("try"), on.ledger.join("tried"));
                fs::write(&new, "x")?;
                fs::rename(&new, &old)?;
                fs::remove_file(old)
            }),
        ),
        (
            "need: to keep a halt",
            Box::new(|| {
                let halt = on.ledger.with_file_name("tried");
                fs::write(&halt, "x")?;
                fs::remove_file(halt)
            }),
        ),
        ("need: to connect", Box::new(|| TcpStream::connect(("127.0.0.1", on.port)).map(drop))),
        (
            "need: a thread",
            Box::new(|| {
                std::thread::Builder::new().spawn(|| ()).map(|thread| thread.join().expect("it ends"))
            }),
        ),
        (
            "need: who somebody is",
            Box::new(|| match sandbox::reader::user(0).as_deref() {
                Some("root") => Ok(()),
                other => Err(io::Error::other(format!("{other:?}"))),
            }),
        ),
        ("need: the cgroups of guests", Box::new(|| fs::read_dir("/sys/fs/cgroup").map(drop))),
        (
            "need: a cgroup's figures",
            Box::new(|| {
                fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")
                    .or_else(|_| fs::read_to_string("/sys/fs/cgroup/unified/cgroup.controllers"))
                    .map(drop)
            }),
        ),
        ("need: the node's connections", Box::new(read("/proc/self/net/tcp".into()))),
        ("need: which boot it is", Box::new(read("/proc/sys/kernel/random/boot_id".into()))),
        // Last: whoever succeeds is root in there.
        ("make a user namespace", Box::new(|| Ok(unshare(CloneFlags::CLONE_NEWUSER)?))),
    ];
    let errno = |done: io::Result<()>| done.err().map_or(0, |error| error.raw_os_error().unwrap_or(-1));
    // What is replaced while the daemon runs, the test replaces now.
    println!("confined");
    let mut go = String::new();
    io::stdin().read_line(&mut go).expect("the test says when");
    all.into_iter().map(|(name, attempt)| (name.to_owned(), errno(attempt()))).collect()
}
