//! A file into a VM: whole and at once, as far as a guest's own programs can do that.
//!
//! The new content goes, in pieces, into a directory of its own beside the file, which only the guest's root can look into.
//! Each script goes there anew and proves by device and inode that it is the same directory, in the same place: whoever may
//! write around it can make a change fail, and can turn it nowhere else. Only when all of the content is there, is what was
//! sent, has its owner and mode and is on the disk, is it renamed over the old file, or linked where none may be. A daemon
//! that is killed in between leaves that directory behind, and the old file as it was.

use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::super::door;
use super::super::put::{Wanted, Was, answer, intent, keep_what_was};
use super::super::shown;
use super::in_place;
use super::look::{LOOK, Looked, PATIENCE, found, look};
use super::read::read;
use crate::door::{Errand, Found, Over, Part};
use crate::ledger::{Decision, Recorded};
use crate::plan::PlanId;
use crate::policy::Permit;
use crate::tools::Provost;
use crate::tools::answer::{Answer, Failure};
use crate::tools::record::Call;
use crate::tools::vm::agent::{Agent, Ended, MOST_WRITE, Proof};
use crate::tools::vm::script;

/// What every script begins with: `$1` is the directory of the new content, `$2` its device and inode, `$3` those of the
/// directory that it is in.
const ENTER: &str = r#"LC_ALL=C; export LC_ALL; umask 077
cd -P -- "$1" || exit 71
[ "$(stat -c '%d %i' .)" = "$2" ] && [ "$(stat -c '%d %i' ..)" = "$3" ] || exit 71
"#;

/// Makes that directory and says what it is. `$1` is where, `$2` its device and inode, `$3` the name.
const BEGIN: &str = r#"LC_ALL=C; export LC_ALL; umask 077
cd -P -- "$1" && [ "$(stat -c '%d %i' .)" = "$2" ] || exit 71
# What puts whose daemon was killed have left here: a quarter of an hour old, of the same owner, and nothing else in it.
n=0
for d in .provost-*; do
  [ -d "$d" ] && [ ! -L "$d" ] && [ $n -lt 20 ] || continue
  n=$((n+1))
  ( cd -P -- "$d" && [ "$(stat -c '%d %i' ..)" = "$2" ] && [ "$(stat -c %u .)" = "$(id -u)" ] || exit
    case $(stat -c %a .) in *700) ;; *) exit;; esac
    case $(ls -A) in ''|new) ;; *) exit;; esac
    for f in . new; do [ ! -e $f ] || [ $(($(date +%s) - $(stat -c %Y $f))) -gt 900 ] || exit; done
    rm -f new; cd .. && rmdir -- "$d" )
done
mkdir -- "$3" || exit 78
cd -P -- "$3" && [ "$(stat -c '%d %i' ..)" = "$2" ] && [ "$(stat -c %u .)" = "$(id -u)" ] || exit 71
case $(stat -c %a .) in *700) ;; *) exit 71;; esac
[ -z "$(ls -A)" ] || exit 71
: > new || exit 78
stat -c '%d %i' ."#;

const PIECE: &str = "base64 -d >> new || exit 78";

/// `$4` is the name, `$5` the hash, `$6` the mode, `$7` the owner, `$8` what is there: its device, inode, size and times, or
/// nothing.
const FINISH: &str = r#"[ "$(sha256sum < new | cut -c1-64)" = "$5" ] || exit 72
chown -- "$7" new || exit 73
chmod -- "$6" new || exit 74
sync new 2>/dev/null || sync
if [ -n "$8" ]; then
  [ "$(stat -c '%d %i %s %Y %Z' -- "../$4")" = "$8" ] || exit 75
  mv -fT -- new "../$4" || exit 78
elif ln -T -- new "../$4"; then
  rm -f new
else
  if [ -e "../$4" ] || [ -L "../$4" ]; then exit 76; fi
  mv -nT -- new "../$4" && [ ! -e new ] || exit 78
fi
printf 'stat %s\n' "$(stat -c '%f %s %u %g %Y %h' -- "../$4")"
printf 'user %s\n' "$(stat -c %U -- "../$4")"
printf 'group %s\n' "$(stat -c %G -- "../$4")"
cd .. && rmdir -- "${1##*/}"
sync . 2>/dev/null || sync
exit 0"#;

const GIVE_UP: &str = r#"rm -f new; cd .. && rmdir -- "${1##*/}""#;

/// `$1` is where, `$2` its device and inode, `$3` the name, `$4` the hash.
const REMOVE: &str = r#"LC_ALL=C; export LC_ALL
cd -P -- "$1" && [ "$(stat -c '%d %i' .)" = "$2" ] || exit 71
[ -f "./$3" ] && [ ! -L "./$3" ] && [ "$(sha256sum < "./$3" | cut -c1-64)" = "$4" ] || exit 75
rm -- "./$3" || exit 78
sync . 2>/dev/null || sync
exit 0"#;

/// What is said of a change that was made so.
const NOTE: &str = "in a VM: put into place at once by rename; access lists and extended attributes of the old file are not \
                    kept, and what a program wrote to it in the last moment is lost";

pub async fn carry_out(
    provost: &Provost,
    permit: &Permit,
    node: &str,
    wanted: Wanted,
    record: &mut Call,
) -> Answer {
    // Nothing is looked at that could not be recorded.
    let ready = record.ledger().ready()?;
    let began = Instant::now();
    let agent = Agent::new(provost.policy.inside(permit, &provost.client, node));
    record.notes().reached();
    record.notes().made_by_guest();
    let system = agent.system().await?;
    let path = wanted.errand.path().to_owned();
    let looked = match system.is_linux() {
        true => {
            let ended =
                script::run(&agent, LOOK, &[&path, "hash"], None, PATIENCE, Proof::reads(&ready)).await?;
            Some(look(&path, &ended)?)
        }
        false => None,
    };
    let was = match &looked {
        Some(looked) => {
            may_go(&wanted.errand, looked)?;
            look_closer(provost, permit, &agent, looked).await?
        }
        None => in_place::look(provost, permit, &agent, &wanted, &system).await?,
    };
    let stage = match (&looked, &wanted.errand) {
        (Some(looked), Errand::Put(_)) => Some(Place::of(looked)?),
        _ => None,
    };
    let intent = intent(&wanted, &was, Some(node), stage.as_ref().map(|stage| stage.path.as_str()));
    let entry = record.entry(Decision::Allowed, None, intent.clone());
    let recorded = record.ledger().intent(entry, intent).await?;
    record.recorded_elsewhere();
    // From here on it is seen through, whoever still waits for it.
    let change = provost.planning.carry(async move {
        let (done, note) = match (&looked, &wanted.errand) {
            (Some(looked), Errand::Remove(remove)) => {
                (take_away(&agent, &recorded, looked, &remove.sha256).await.map(|()| None), None)
            }
            (Some(looked), _) => {
                (hand_over(&agent, &recorded, &wanted, looked, stage).await.map(Some), Some(NOTE))
            }
            (None, _) => {
                (in_place::write(&agent, &recorded, &wanted).await.map(|()| None), Some(in_place::NOTE))
            }
        };
        let note = note.filter(|_| done.is_ok()).map(str::to_owned);
        let duration_us = began.elapsed().as_micros() as u64;
        answer(recorded, wanted, was, done, duration_us, note).await
    });
    let lost = |_| Failure::new("internal", "the change was given up", "journalctl -t provostd");
    change.await.map_err(lost)?
}

/// Whether what is there may be replaced, or taken away.
fn may_go(errand: &Errand, looked: &Looked) -> Result<(), Failure> {
    let path = errand.path();
    if looked.found.is_some() && !looked.is_file {
        return Err(Failure::new("not_a_file", format!("{path:?} is a directory"), "name a plain file"));
    }
    if looked.path == "/" {
        return Err(Failure::new("not_a_file", "the path names no file".to_owned(), "name a plain file"));
    }
    let expected = match errand {
        Errand::Put(put) => match &put.over {
            Over::Never if looked.found.is_some() => {
                let next = "overwrite \"if_hash\" or \"always\" replaces it";
                return Err(Failure::new("exists", format!("{path:?} is there already"), next));
            }
            Over::Never | Over::Always => return Ok(()),
            Over::IfHash(hash) => hash,
        },
        Errand::Remove(remove) => &remove.sha256,
        Errand::Get(_) => return Ok(()),
    };
    if looked.sha256.as_ref() == Some(expected) {
        Ok(())
    } else {
        Err(changed(path, looked.sha256.as_deref()))
    }
}

pub fn changed(path: &str, is: Option<&str>) -> Failure {
    let message = match is {
        Some(hash) => format!("{path:?} is another than was expected: its sha256 is {hash}"),
        None => format!("{path:?} is another than was expected, or is not there"),
    };
    Failure::new(
        "changed",
        message,
        "read it again (file_get), and decide by what it is now; nothing was changed",
    )
}

/// Keeps what is there, where it can be kept.
async fn look_closer(
    provost: &Provost,
    permit: &Permit,
    agent: &Agent,
    looked: &Looked,
) -> Result<Was, Failure> {
    let Some(found) = looked.found.clone() else {
        return Ok(Was { found: None, sha256: None, kept: Ok(()), is_owned: true });
    };
    let sha256 = looked.sha256.clone().ok_or_else(|| changed(&looked.path, None))?;
    let size = found.size;
    if size > permit.exec().keep_replaced {
        let why = "what was there is larger than [exec] keep_replaced keeps".to_owned();
        return Ok(Was { found: Some(found), sha256: Some(sha256), kept: Err(why), is_owned: true });
    }
    let seen = read(agent, &looked.path, Part::From(0), size, Some(size)).await;
    let seen = match seen {
        Ok(seen) => seen,
        // It can be replaced all the same; what is there is only not kept.
        Err(failure) if failure.kind == "too_large" => {
            return Ok(Was {
                found: Some(found),
                sha256: Some(sha256),
                kept: Err(failure.message),
                is_owned: true,
            });
        }
        Err(failure) => return Err(failure),
    };
    if crate::ledger::tree::sha256_hex(&seen.bytes) != sha256 {
        return Err(changed(&looked.path, None));
    }
    let kept = keep_what_was(provost, permit, &seen.bytes, &sha256).await?;
    Ok(Was { found: Some(found), sha256: Some(sha256), kept, is_owned: true })
}

/// Where new content is to wait until it is whole: on record before it is made, as it stays where nobody can take it away.
struct Place {
    path: String,
    /// The directory that the file is in, and the name there.
    directory: String,
    name: String,
}

impl Place {
    fn of(looked: &Looked) -> Result<Self, Failure> {
        let random =
            PlanId::random().map_err(|error| Failure::new("internal", error.to_string(), "report this"))?;
        let name: String = format!(".provost-{random}").chars().take(25).collect();
        let (directory, _) = looked.path.rsplit_once('/').unwrap_or_default();
        let path = format!("{directory}/{name}");
        let directory = if directory.is_empty() { "/" } else { directory }.to_owned();
        Ok(Self { path, directory, name })
    }
}

/// Where new content waits.
struct Stage {
    place: String,
    is: String,
    directory: String,
}

impl Stage {
    async fn run(
        &self,
        agent: &Agent,
        recorded: &Recorded,
        text: &str,
        more: &[&str],
        input: Option<&[u8]>,
    ) -> Result<Ended, Failure> {
        let text = format!("{ENTER}{text}");
        let arguments: Vec<&str> =
            [&*self.place, &self.is, &self.directory].into_iter().chain(more.iter().copied()).collect();
        script::run(agent, &text, &arguments, input, PATIENCE, Proof::recorded(recorded)).await
    }
}

async fn hand_over(
    agent: &Agent,
    recorded: &Recorded,
    wanted: &Wanted,
    looked: &Looked,
    place: Option<Place>,
) -> Result<Found, Failure> {
    let (Errand::Put(put), Some(place)) = (&wanted.errand, place) else {
        return Err(Failure::new("internal", "no file to put", "report this"));
    };
    let path = &put.path;
    let stage = begin(agent, recorded, path, looked, place).await.map_err(door::nothing_changed)?;
    let filled = fill(agent, recorded, &stage, path, &wanted.content).await;
    if let Err(failure) = filled {
        let _ = stage.run(agent, recorded, GIVE_UP, &[], None).await;
        return Err(door::nothing_changed(failure));
    }
    let old = looked.found.as_ref();
    let (uid, gid) = old.map_or((0, 0), |old| (old.uid, old.gid));
    let owner = match &put.owner {
        None => format!("{uid}:{gid}"),
        Some(owner) if owner.contains(':') => owner.clone(),
        Some(owner) => format!("{owner}:{gid}"),
    };
    let mode = shown::octal(put.mode.or(old.map(|old| old.mode)).unwrap_or(0o644));
    let (_, name) = looked.path.rsplit_once('/').unwrap_or_default();
    let more = [name, &put.sha256, &mode, &owner, &looked.is];
    // That it was asked for and not heard of leaves open whether it is done.
    let ended = stage.run(agent, recorded, FINISH, &more, None).await?;
    if let Err(failure) = well(path, &ended) {
        let _ = stage.run(agent, recorded, GIVE_UP, &[], None).await;
        return Err(door::nothing_changed(failure));
    }
    let text = String::from_utf8_lossy(&ended.stdout);
    let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let now = line("stat").and_then(|stat| found(stat, line("user"), line("group")));
    now.map(|(found, _)| found).ok_or_else(|| {
        Failure::new(
            "unclear",
            format!("{path:?} is in place, and what it is now was not understood"),
            "file_get tells",
        )
    })
}

async fn begin(
    agent: &Agent,
    recorded: &Recorded,
    path: &str,
    looked: &Looked,
    place: Place,
) -> Result<Stage, Failure> {
    let arguments = [&*place.directory, &looked.directory, &place.name];
    let ended = script::run(agent, BEGIN, &arguments, None, PATIENCE, Proof::recorded(recorded)).await?;
    well(path, &ended)?;
    let is = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
    Ok(Stage { place: place.path, is, directory: looked.directory.clone() })
}

/// Brings the content in, in pieces that the agent takes.
async fn fill(
    agent: &Agent,
    recorded: &Recorded,
    stage: &Stage,
    path: &str,
    content: &[u8],
) -> Result<(), Failure> {
    for piece in content.chunks(MOST_WRITE) {
        let encoded = BASE64.encode(piece);
        let ended = stage.run(agent, recorded, PIECE, &[], Some(encoded.as_bytes())).await?;
        well(path, &ended)?;
    }
    Ok(())
}

async fn take_away(agent: &Agent, recorded: &Recorded, looked: &Looked, sha256: &str) -> Result<(), Failure> {
    let (directory, name) = looked.path.rsplit_once('/').unwrap_or_default();
    let directory = if directory.is_empty() { "/" } else { directory };
    let arguments = [directory, &looked.directory, name, sha256];
    let ended = script::run(agent, REMOVE, &arguments, None, PATIENCE, Proof::recorded(recorded)).await?;
    well(&looked.path, &ended).map_err(door::nothing_changed)
}

/// Whether a script did what it is for; if not, nothing was put into place.
fn well(path: &str, ended: &Ended) -> Result<(), Failure> {
    let said = crate::text::clean(&ended.stderr);
    let said = crate::text::brief(said.trim(), 300);
    let has = |words: &str| said.contains(words);
    let see = "see what is there: file_get of the directory above";
    let (kind, what, next) = match ended.exit_code {
        Some(0) => return Ok(()),
        Some(71) => ("changed", "the directory that holds it was moved or changed meanwhile", "call again"),
        Some(72) => {
            ("content", "what arrived in the VM is not what was sent", "call again; nothing was changed")
        }
        Some(73) => (
            "no_such_user",
            "the owner cannot be set",
            "name a user or user:group that the guest's /etc/passwd and /etc/group hold, or give numbers",
        ),
        Some(75) => ("changed", "it was changed meanwhile", "read it again (file_get); nothing was changed"),
        Some(76) => {
            ("exists", "it came to be there meanwhile", "overwrite \"if_hash\" or \"always\" replaces it")
        }
        _ if has("No space left") || has("quota") => {
            ("full", "there is no room", "make room there (df, df -i), then call again: nothing was changed")
        }
        _ if has("Read-only") => {
            ("read_only", "it cannot be written", "the file system is mounted read-only there")
        }
        _ if has("not permitted") || has("denied") => {
            ("permission", "the guest's root itself may not", "see lsattr, and what the file system there is")
        }
        _ => ("file", "the VM's own programs failed", see),
    };
    let message = format!("{path:?} in the VM: {what}{}{said}", if said.is_empty() { "" } else { ": " });
    Err(Failure::new(kind, message, next))
}
