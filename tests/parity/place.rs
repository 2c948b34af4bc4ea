//! A container of the lab in one of its layouts, and the two ways into it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::common::node::ROOT_MAY_ALL;
use crate::common::{Node, eventually, lab, lxcpath};

#[derive(Clone, Copy)]
pub struct Place {
    pub layout: &'static str,
    pub guest: u32,
}

impl Place {
    /// The container, which must be up; none where the machine cannot have this layout.
    pub fn find(layout: &'static str, guest: u32) -> Option<Self> {
        if layout == "mixed" && !Path::new("/sys/fs/cgroup/unified").exists() {
            assert!(std::env::var_os("CI").is_none(), "no v1 cgroups on this machine, and CI must have them");
            eprintln!("NOT RUN: this machine has no v1 cgroups, so there is no mixed layout to try");
            return None;
        }
        let place = Self { layout, guest };
        let state = place.lxc("lxc-info").args(["-sH"]).output().expect("run tests/lab/lab");
        assert!(
            state.stdout == b"RUNNING\n",
            "container {layout}/{guest} is not up; as root: tests/lab/lab up --cgroup {layout} && tests/lab/lab wait --cgroup {layout}"
        );
        Some(place)
    }

    /// Both daemons, with enough room in an answer for all of a probe.
    pub fn node(self) -> Node {
        let exec = "containers = [\"1-999999\"]\nprivileged = true\nmax_output = 1000000";
        Node::with(self.layout, exec, ROOT_MAY_ALL)
    }

    /// One of lxc's own programs, for this container, run where it was started.
    pub fn lxc(self, program: &str) -> Command {
        let mut command = Command::new(lab());
        command.args(["run", "--cgroup", self.layout, "--", program, "-P"]);
        // Provost's commands start in /, lxc's in the caller's directory.
        command.arg(lxcpath(self.layout)).args(["-n", &self.guest.to_string()]).current_dir("/");
        command
    }

    /// `lxc-attach` with these options, its three descriptors pipes as Provost's are.
    pub fn attach(self, options: &[&str], argv: &[&str]) -> Child {
        let mut command = self.lxc("lxc-attach");
        command.arg("--clear-env").args(options).arg("--").args(argv);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("lxc-attach")
    }

    /// What the command wrote, run by lxc's own way.
    pub fn by_lxc(self, options: &[&str], argv: &[&str]) -> String {
        let output = self.attach(options, argv).wait_with_output().expect("lxc-attach");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && err.is_empty(), "lxc-attach: {}\n{out}\n{err}", output.status);
        out.into_owned()
    }

    /// What the command wrote, run by Provost in the change lane.
    pub fn by_provost(self, node: &Node, user: Option<&str>, argv: &[&str]) -> String {
        let answer = node.client().exec(self.arguments(user, argv));
        assert!(
            answer["exit_code"] == 0 && answer["stderr"] == "" && answer["truncated"] == false,
            "{answer}"
        );
        answer["stdout"].as_str().expect("text").to_owned()
    }

    pub fn arguments(self, user: Option<&str>, argv: &[&str]) -> Value {
        let mut arguments = json!({ "guest": self.guest, "argv": argv, "mode": "change" });
        if let Some(user) = user {
            arguments["user"] = user.into();
        }
        arguments
    }
}

/// A `sleep` in a container that ends with the value.
pub struct Sleeper {
    /// Its pid on the host.
    pub pid: i32,
    /// What holds it: `lxc-attach`, or the session that asked for it.
    holder: Holder,
}

enum Holder {
    Attach(Child),
    Session { _client: Box<crate::common::Client> },
}

impl Sleeper {
    pub fn by_lxc(place: Place) -> Self {
        let seconds = unique();
        let holder = place.attach(&[], &["/bin/sleep", &seconds]);
        Self { pid: asleep(&seconds), holder: Holder::Attach(holder) }
    }

    pub fn by_provost(place: Place, node: &Node) -> Self {
        let seconds = unique();
        let mut client = Box::new(node.client());
        client.start("exec", place.arguments(None, &["/bin/sleep", &seconds]));
        Self { pid: asleep(&seconds), holder: Holder::Session { _client: client } }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        if let Holder::Attach(attach) = &mut self.holder {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(self.pid),
                nix::sys::signal::Signal::SIGKILL,
            );
            let _ = attach.wait();
        }
    }
}

/// A number of seconds that no other process sleeps, and long enough.
fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{}.{}", 1000 + NEXT.fetch_add(1, Ordering::Relaxed), std::process::id())
}

/// The process that sleeps so long, once it does: it has become `sleep`, and waits.
fn asleep(seconds: &str) -> i32 {
    let argv = format!("/bin/sleep\0{seconds}\0");
    let mut found = None;
    eventually("the command sleeps", || {
        found = std::fs::read_dir("/proc").expect("/proc").flatten().find_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let is = |file: &str, text: &str| {
                std::fs::read_to_string(entry.path().join(file)).is_ok_and(|is| is == text)
            };
            (is("cmdline", &argv) && is("comm", "sleep\n")).then_some(pid)
        });
        found.is_some()
    });
    found.expect("a process")
}

/// A promise that is kept in every container of the lab, in both layouts: a test each. (The container 301 inside 105 has
/// its monitor there, out of the host's sight: "nested" is 105.)
macro_rules! everywhere {
    ($promise:ident) => {
        $crate::place::everywhere!(@layouts $promise {
            in_101_plain = 101,
            in_102_with_fewer_capabilities = 102,
            in_103_with_a_seccomp_allowlist = 103,
            in_104_with_environment_limits_and_no_new_privs = 104,
            in_105_with_nesting = 105,
            in_106_privileged = 106,
        });
    };
    (@layouts $promise:ident $containers:tt) => {
        mod $promise {
            mod v2 {
                $crate::place::everywhere!(@tests "v2" $promise $containers);
            }
            mod mixed {
                $crate::place::everywhere!(@tests "mixed" $promise $containers);
            }
        }
    };
    (@tests $layout:literal $promise:ident { $($name:ident = $guest:literal,)* }) => {
        $(
            #[test]
            fn $name() {
                if let Some(place) = $crate::place::Place::find($layout, $guest) {
                    super::super::$promise(place);
                }
            }
        )*
    };
}
pub(crate) use everywhere;
