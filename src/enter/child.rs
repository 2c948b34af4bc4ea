//! The command's own process, from its birth to its exec; or to the file door, where it stays what it is.
//!
//! It reads top to bottom as one line of steps, each a value that the next one needs: an [`Inside`] is only had from
//! an [`Outside`], a [`Confined`] only from an [`Inside`], and only a [`Confined`] can exec. The order is not free:
//!
//! * descriptors, limits, v1 cgroups and the label file come first, while this process still has the node's rights and
//!   the node's /proc;
//! * every namespace is joined in one call, so there is no moment of half membership;
//! * after that nothing of the container's is trusted: no library is loaded, no name service asked, no /proc read;
//! * the container's seccomp profile comes after all that it might forbid, and before the switch to the user, who may
//!   not be allowed to install it; the inspect lane comes last, as it forbids most.
//!
//! Until exec the process is undumpable, so the container can neither trace it nor open its `exe`, `mem` or `fd`
//! (CVE-2016-9962, CVE-2019-5736), and it holds its three descriptors and those that the next step needs, no others.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sched::setns;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Uid, chdir, close, execve, getgid, getuid, setgroups, setresgid, setresuid, setsid};

use super::account::Account;
use super::door::{self, Door};
use super::inspect::{self, Lane};
use super::label;
use super::step::{At, Failure, Step};
use super::sys;
use super::target::Target;
use super::walk;
use crate::door::Errand;

/// What to run, as the container will see it.
pub struct Command {
    pub argv: Vec<CString>,
    /// `NAME=value`, after lxc's own and the container's; the last of a name counts.
    pub env: Vec<(String, String)>,
    pub cwd: CString,
    /// `name`, `uid` or `uid:gid`; absent: root.
    pub user: Option<String>,
}

/// What the process is to do in the container.
#[derive(Clone, Copy)]
pub enum Work<'a> {
    Command(&'a Command),
    /// At the file door, where it runs nothing.
    Errand(&'a Errand, &'a Lane),
}

/// What the process is born with.
pub struct Entry<'a> {
    pub target: &'a Target,
    pub work: Work<'a>,
    pub stdio: [BorrowedFd<'a>; 3],
    /// Present in the inspect lane.
    pub lane: Option<&'a Lane>,
    /// Where a failure is reported; closed by a successful exec.
    pub status: BorrowedFd<'a>,
}

/// Never returns: the process becomes the command, or reports and ends.
pub fn run(entry: &Entry<'_>) -> ! {
    /// A panic must end this copy of the process, not unwind into the parent's event loop.
    struct EndHere;
    impl Drop for EndHere {
        fn drop(&mut self) {
            sys::exit_now(126);
        }
    }
    let _end = EndHere;
    let Err(failure) = go(entry);
    // If the parent is gone, nobody is left to tell.
    let _ = nix::unistd::write(Kept::STATUS, &failure.bytes());
    sys::exit_now(127)
}

fn go(entry: &Entry<'_>) -> Result<Infallible, Failure> {
    let outside = Outside::prepare(entry)?;
    let inside = outside.enter()?;
    match entry.work {
        Work::Command(command) => {
            let account = inside.account(command)?;
            let confined = inside.confine(command, account)?;
            confined.exec()
        }
        Work::Errand(errand, lane) => {
            let door = inside.at_door(errand, lane)?;
            door::run(&door, errand)
        }
    }
}

/// The descriptors that the process keeps on its way, at numbers of their own.
struct Kept;

impl Kept {
    const STATUS: BorrowedFd<'static> = sys::borrowed::<3>();
    const INIT: BorrowedFd<'static> = sys::borrowed::<4>();
    const FIRST_FREE: i32 = 5;
}

/// The container's.
const ROOT: Uid = Uid::from_raw(0);
/// What the first process of a pid namespace is called in it.
const INIT: i32 = 1;

/// Still the node's: prepared, and ready to enter.
struct Outside<'a> {
    entry: &'a Entry<'a>,
    label_file: Option<File>,
    /// At the file door: the node's `/proc/self/fd`.
    own_list: Option<OwnedFd>,
}

impl<'a> Outside<'a> {
    fn prepare(entry: &'a Entry<'a>) -> Result<Self, Failure> {
        // Said again, though the parent is undumpable already: everything below leans on it.
        prctl::set_dumpable(false).at(Step::Descriptors)?;
        let target = entry.target;
        label::leave_own_profile().at(Step::OwnProfile)?;
        // By descriptors that the next line closes.
        target.cgroups.join_v1().at(Step::Cgroup)?;
        arrange(entry).at(Step::Descriptors)?;
        if let Work::Command(_) = entry.work {
            sys::default_signals();
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).at(Step::Session)?;
        umask(Mode::from_bits_truncate(0o022));
        setsid().at(Step::Session)?;
        if entry.lane.is_some() {
            // The kernel's choice when memory runs out, before any service of the container. Where it cannot be had, the
            // command is a choice like any other.
            let _ = std::fs::write("/proc/self/oom_score_adj", "500");
        }
        if !walk::own_session() {
            prctl::set_child_subreaper(true).at(Step::Session)?;
        }
        for limit in &target.limits {
            limit.set().at(Step::Limits)?;
        }
        for value in &target.proc_values {
            value.set().at(Step::ProcValues)?;
        }
        if target.own_cores {
            // By its pid in the pid namespace that this process was born in.
            sys::share_core_with(INIT).at(Step::Cores)?;
        }
        sys::set_personality(target.personality).at(Step::Personality)?;
        let (mut label_file, mut own_list) = (None, None);
        match entry.work {
            Work::Command(_) => {
                label_file =
                    target.label.as_ref().map(|label| label.open()).transpose().at(Step::LabelFile)?;
            }
            Work::Errand(..) => {
                let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
                own_list = Some(open("/proc/self/fd", flags, Mode::empty()).at(Step::OwnList)?);
            }
        }
        Ok(Self { entry, label_file, own_list })
    }

    fn enter(self) -> Result<Inside<'a>, Failure> {
        setns(Kept::INIT, self.entry.target.namespaces).at(Step::Namespaces)?;
        // What has changed the credentials may have made it dumpable again: where fs.suid_dumpable says so.
        prctl::set_dumpable(false).at(Step::Namespaces)?;
        chdir("/").at(Step::Namespaces)?;
        // Still as the node's root: the uid of the container's root is that of other containers too, and any of them
        // can use up its quota of keys.
        sys::new_session_keyring().at(Step::Keyring)?;
        Ok(Inside { entry: self.entry, label_file: self.label_file, own_list: self.own_list })
    }
}

/// Puts the three descriptors of the caller at 0 to 2, what the way still needs behind them, and closes the rest: the
/// parent's sockets, its other calls' pipes, everything.
fn arrange(entry: &Entry<'_>) -> Result<(), Errno> {
    /// Out of the way of every number that is about to be filled, and no higher than that: a higher one would make the
    /// process's table of descriptors longer, which its /proc tells.
    const ASIDE: i32 = Kept::FIRST_FREE;
    let [stdin, stdout, stderr] = entry.stdio;
    let mut aside = [0; 5];
    for (from, aside) in
        [stdin, stdout, stderr, entry.status, entry.target.init.as_fd()].iter().zip(&mut aside)
    {
        *aside = fcntl(from, FcntlArg::F_DUPFD_CLOEXEC(ASIDE))?;
    }
    for (to, from) in aside.iter().enumerate() {
        sys::dup_to(*from, to as i32, to > 2)?;
    }
    sys::close_from(Kept::FIRST_FREE)
}

/// In the container, with its root's rights.
struct Inside<'a> {
    entry: &'a Entry<'a>,
    label_file: Option<File>,
    own_list: Option<OwnedFd>,
}

impl<'a> Inside<'a> {
    fn account(&self, command: &Command) -> Result<Account, Failure> {
        match &command.user {
            None => Ok(Account::root()),
            Some(spec) => Account::find(spec).at(Step::User),
        }
    }

    /// Instead of becoming a command. The security label stays: it is taken on by an exec, and there is none; nor is the
    /// container's seccomp profile, as what goes on from here is this program, under a filter that lets less through.
    fn at_door(self, errand: &Errand, lane: &Lane) -> Result<Door, Failure> {
        let own_list = self.own_list.ok_or(Errno::EBADF).at(Step::OwnList)?;
        // What is behind it has served its turn.
        close(Kept::INIT.as_raw_fd()).at(Step::Descriptors)?;
        door::confine(own_list, errand.changes(), self.entry.target.bounding, lane)
    }

    fn confine(self, command: &'a Command, account: Account) -> Result<Confined<'a>, Failure> {
        let Entry { target, lane, .. } = self.entry;
        let bounding = match lane {
            None => target.bounding,
            Some(_) => target.bounding & inspect::kept_capabilities(),
        };
        sys::keep_bounding(bounding).at(Step::Bounding)?;
        if let (Some(label), Some(file)) = (&target.label, &self.label_file) {
            label.write(file).at(Step::Label)?;
        }
        drop(self.label_file);
        if target.no_new_privs {
            prctl::set_no_new_privs().at(Step::NoNewPrivs)?;
        }
        setgroups(&account.groups).at(Step::Identity)?;
        // By way of the container's root: until now this is the node's, whom the kernel does not take for a root in here,
        // and on its way to another user it would keep what only root may.
        setresuid(ROOT, ROOT, ROOT).at(Step::Identity)?;
        prctl::set_dumpable(false).at(Step::Identity)?;
        setresgid(account.gid, account.gid, account.gid).at(Step::Identity)?;
        prctl::set_dumpable(false).at(Step::Identity)?;
        if let Some(profile) = &target.seccomp {
            sys::install_filter(profile.program.instructions()).at(Step::Seccomp)?;
        }
        setresuid(account.uid, account.uid, account.uid).at(Step::Identity)?;
        prctl::set_dumpable(false).at(Step::Identity)?;
        // A profile can answer a call with success and not let it happen.
        if (getuid(), getgid()) != (account.uid, account.gid) {
            return Err(Errno::EPERM).at(Step::Identity);
        }
        // After the change of user, which clears it: the command ends with provost-execd. An exec that changes the
        // security label clears it too; there, the next provost-execd ends what this one left.
        prctl::set_pdeathsig(Signal::SIGKILL).at(Step::Identity)?;
        chdir(command.cwd.as_c_str()).at(Step::Directory)?;
        if let Some(lane) = lane {
            inspect::confine(lane).map_err(|error| Failure { step: Step::Inspect, errno: error.errno() })?;
        }
        Ok(Confined { target, command, account })
    }
}

/// In the container and bound by everything that binds it: all that is left is to become the command.
struct Confined<'a> {
    target: &'a Target,
    command: &'a Command,
    account: Account,
}

/// lxc's default, and the one that a command gets unless the container or the caller says otherwise.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Confined<'_> {
    fn exec(self) -> Result<Infallible, Failure> {
        let command = self.command;
        let environment = self.environment();
        let program = command.argv[0].as_c_str();
        if program.to_bytes().contains(&b'/') {
            return execve(program, &command.argv, &environment).at(Step::Exec);
        }
        let mut refused = Errno::ENOENT;
        for candidate in candidates(program, &environment) {
            match execve(&candidate, &command.argv, &environment) {
                Err(Errno::ENOENT | Errno::ENOTDIR) => {}
                // As a shell does: what is found but may not be run is named only if nothing else can be.
                Err(Errno::EACCES) => refused = Errno::EACCES,
                Err(errno) => return Err(errno).at(Step::Exec),
            }
        }
        Err(refused).at(Step::Exec)
    }

    /// As `lxc-attach --clear-env` has it, and HOME, which most programs want.
    fn environment(&self) -> Vec<CString> {
        let mut variables: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut set = |name: &[u8], value: &[u8]| match variables.iter_mut().find(|(known, _)| known == name)
        {
            Some((_, old)) => *old = value.to_vec(),
            None => variables.push((name.to_vec(), value.to_vec())),
        };
        set(b"container", b"lxc");
        set(b"PATH", DEFAULT_PATH.as_bytes());
        set(b"HOME", self.account.home.as_bytes());
        for variable in &self.target.environment {
            let bytes = variable.to_bytes();
            if let Some(at) = bytes.iter().position(|byte| *byte == b'=') {
                set(&bytes[..at], &bytes[at + 1..]);
            }
        }
        for (name, value) in &self.command.env {
            set(name.as_bytes(), value.as_bytes());
        }
        let joined = variables.into_iter().map(|(name, value)| [name, value].join(&b'='));
        joined.filter_map(|variable| CString::new(variable).ok()).collect()
    }
}

fn candidates(program: &CStr, environment: &[CString]) -> Vec<CString> {
    let path = environment
        .iter()
        .find_map(|variable| variable.to_bytes().strip_prefix(b"PATH="))
        .unwrap_or_default();
    let place = |directory: &[u8]| CString::new([directory, program.to_bytes()].join(&b'/')).ok();
    path.split(|byte| *byte == b':').filter(|directory| !directory.is_empty()).filter_map(place).collect()
}
