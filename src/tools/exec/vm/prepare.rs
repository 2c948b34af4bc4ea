//! How a command is started in a VM, by what runs there.

use std::time::Duration;

use crate::tools::answer::Failure;
use crate::tools::exec::run::Wanted;
use crate::tools::record::Call;
use crate::tools::vm::agent::{Agent, Proof};
use crate::tools::vm::script;
use crate::tools::vm::system::{Manner, System, is_root, is_user, linux};

/// How long the guest may look for a user.
const PATIENCE: Duration = Duration::from_secs(10);

/// A command that can be started, and how it can be ended.
pub struct Prepared {
    pub argv: Vec<String>,
    /// Whether it begins by leaving the agent's process group, and so can be ended with all that it starts.
    pub group: bool,
}

/// How it is to be started, by what runs in the guest.
pub async fn prepare(agent: &Agent, command: &Wanted, record: &Call) -> Result<Prepared, Failure> {
    // All that it says from here on, errors too.
    record.notes().made_by_guest();
    let system = agent.system().await?;
    if !system.is_linux() {
        return as_it_is(&system, command);
    }
    let user = command.user.as_deref().filter(|user| !is_root(user));
    let home = match user {
        Some(user) => home(agent, user, record).await?,
        None => None,
    };
    let cwd = Some(command.cwd.as_str()).filter(|cwd| *cwd != "/");
    let manner = Manner { user, home: home.as_deref(), cwd, env: &command.env, group: true };
    Ok(Prepared { argv: linux(&manner, &command.argv)?, group: true })
}

/// Elsewhere than in Linux nobody is known who would set these.
fn as_it_is(system: &System, command: &Wanted) -> Result<Prepared, Failure> {
    let set = [
        ("user", command.user.as_deref().is_some_and(|user| !is_root(user))),
        ("cwd", command.cwd != "/"),
        ("env", !command.env.is_empty()),
        ("script", command.is_script && matches!(system, System::Other(name) if name.contains("Windows"))),
    ];
    if let Some((argument, _)) = set.iter().find(|(_, is_set)| *is_set) {
        let message = format!(
            "{argument} cannot be had in this VM: {}, and a guest agent starts programs as itself, in its own directory and \
             environment",
            system.why_not_linux()
        );
        let next =
            "leave it out, and have the guest's own shell do it: argv [\"powershell\", \"-Command\", …]";
        return Err(Failure::new("not_in_this_vm", message, next));
    }
    Ok(Prepared { argv: command.argv.clone(), group: false })
}

/// A user's home by the guest's own list; none of a number that has no name there.
async fn home(agent: &Agent, user: &str, record: &Call) -> Result<Option<String>, Failure> {
    /// Its exit code says whether there is one.
    const LOOK: &str = "getent passwd -- \"$1\" || grep -m1 \"^$1:\" /etc/passwd";
    let name = user.split(':').next().unwrap_or_default();
    if !is_user(user) {
        return Err(Failure::new(
            "arguments",
            format!("user {user:?} is no name, uid or uid:gid"),
            "correct the argument and call again",
        ));
    }
    let ready = record.ledger().ready()?;
    let ended = script::run(agent, LOOK, &[name], None, PATIENCE, Proof::reads(&ready)).await?;
    let line = String::from_utf8_lossy(&ended.stdout).into_owned();
    let home = line.lines().next().and_then(|line| line.split(':').nth(5)).map(str::to_owned);
    let is_number = name.bytes().all(|digit| digit.is_ascii_digit());
    if home.is_none() && !is_number {
        let next = "name a user that the guest's /etc/passwd holds, or give uid:gid";
        return Err(Failure::new("no_such_user", format!("the VM has no user {name:?}"), next));
    }
    Ok(home.filter(|home| home.starts_with('/')))
}
