//! What the daemon says of itself.

use super::{Check, Client, State};
use crate::cli::operator::{Failed, Where};
use crate::control::{Ask, Catalogue, Examined, Plans};

pub fn checks(at: &Where) -> (Vec<Check>, Option<Examined>) {
    let asked: Result<(Catalogue, Plans), Failed> =
        Client::at(at).and_then(|client| Ok((client.ask(&Ask::Catalogue {})?, client.ask(&Ask::Plans {})?)));
    let (catalogue, plans) = match asked {
        Ok(answers) => answers,
        Err(error) => {
            let mend = "systemctl status provost; journalctl -u provost";
            return (vec![Check::not("daemon", State::Bad, error.to_string(), mend)], None);
        }
    };
    let examined = Client::at(at).and_then(|client| client.ask::<Examined>(&Ask::Examine {}));
    let mut checks = vec![version(examined.as_ref())];
    let examined = examined.ok();
    if let Some(examined) = &examined {
        checks.extend(inside(examined));
    }
    checks.push(match &catalogue.problem {
        None => {
            Check::good("catalogue", format!("{} endpoints, from {}", catalogue.endpoints, catalogue.origin))
        }
        Some(problem) => Check::not(
            "catalogue",
            State::Look,
            format!("{} endpoints, {}: {problem}", catalogue.endpoints, catalogue.origin),
            "install pve-docs, or name its apidoc.js as [pve] apidoc",
        ),
    });
    checks.push(match catalogue.unclassified.len() {
        0 => Check::good("tiers", "each call that changes something has one"),
        count => Check {
            items: catalogue.unclassified.clone(),
            ..Check::not(
                "tiers",
                State::Look,
                format!("{count} calls of this PVE are in no table, and count as destructive"),
                "a newer Provost may know them",
            )
        },
    });
    checks.push(match &plans.halted {
        None => Check::good("halt", "changes and commands go on"),
        Some(halted) => Check::not(
            "halt",
            State::Look,
            format!("everything is halted, by {}: {}", halted.by, halted.why),
            "provost resume",
        ),
    });
    checks.push(match plans.plans.iter().filter(|plan| plan.waits()).count() {
        0 => Check::good("approvals", "no plan waits"),
        count => Check::not(
            "approvals",
            State::Look,
            format!("{count} plans wait for somebody's yes"),
            "provost plans",
        ),
    });
    (checks, examined)
}

fn version(examined: Result<&Examined, &Failed>) -> Check {
    let own = env!("CARGO_PKG_VERSION");
    match examined {
        Ok(examined) if examined.version == own => {
            Check::good("daemon", format!("it answers, version {own}"))
        }
        Ok(examined) => Check::not(
            "daemon",
            State::Look,
            format!("it answers; it is of version {}, and this program of {own}", examined.version),
            "systemctl restart provost: the newer one is installed and does not run yet",
        ),
        Err(Failed::Refused(refused)) if refused.kind == "no_question" => Check::not(
            "daemon",
            State::Look,
            "it answers, and is older than this program",
            "systemctl restart provost: the newer one is installed and does not run yet",
        ),
        Err(error) => {
            Check::not("daemon", State::Look, format!("it answers; {error}"), "run this as root to know more")
        }
    }
}

/// What it tells of its inside.
fn inside(examined: &Examined) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(error) = &examined.configuration {
        let mend = "correct the file; the daemon takes it up by itself";
        let said = format!("the file is not in force, and what it said before is: {error}");
        checks.push(Check::not("in force", State::Bad, said, mend));
    }
    checks.extend(examined.tokens.iter().map(token));
    if !examined.aside.is_empty() {
        let said = format!("{} does not answer, and is left alone for a while", examined.aside.join(" and "));
        checks.push(Check::not(
            "pve aside",
            State::Look,
            said,
            "systemctl status pveproxy pvedaemon pve-cluster",
        ));
    }
    checks.push(ledger(examined));
    checks.push(sandbox(examined));
    checks
}

fn token(token: &crate::control::Token) -> Check {
    let name = token.id.clone().unwrap_or_else(|| token.given.display().to_string());
    match &token.problem {
        None => Check::good("token works", format!("PVE takes {name}")),
        Some(problem) => {
            let mend = match problem.contains("401") || problem.contains("Authentication") {
                true => "provost setup makes another: PVE does not know this secret, or it has expired",
                false => "provost setup, or what is said there",
            };
            Check::not("token works", State::Bad, format!("{name}: {problem}"), mend)
        }
    }
}

fn ledger(examined: &Examined) -> Check {
    let ledger = &examined.ledger;
    let of = |state, why: String, mend: &str| Check::not("ledger", state, why, mend);
    if ledger.state != "ready" {
        let why = ledger.why.clone().unwrap_or_default();
        let next = ledger.next.clone().unwrap_or_else(|| "provost audit verify says where".into());
        return of(State::Bad, format!("{}: {why}; nothing can be run or changed", ledger.state), &next);
    }
    if ledger.unrecorded > 0 || ledger.unmirrored > 0 {
        let why =
            format!("{} receipts were not kept and {} not mirrored", ledger.unrecorded, ledger.unmirrored);
        return of(State::Look, why, "journalctl -u provost -p err; provost audit verify");
    }
    if ledger.open_intents > 0 {
        let why = format!("{} changes were begun, and nobody knows what became of them", ledger.open_intents);
        return of(State::Look, why, "provost audit query --kind intent; look at their tasks in PVE");
    }
    if ledger.mirror != "journald" {
        let why = format!("{} receipts; they are not copied to the journal: {}", ledger.size, ledger.mirror);
        return of(State::Look, why, "systemctl status systemd-journald");
    }
    let said = format!(
        "{} receipts, {} under the signed head; provost audit verify holds each against it",
        ledger.size, ledger.signed
    );
    Check::good("ledger", said)
}

/// Whatever the daemon reports of itself, in its words.
fn sandbox(examined: &Examined) -> Check {
    let report = &examined.sandbox;
    let words: Vec<String> = report
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            format!("{} {}", name.replace('_', " "), value.as_str().map_or(value.to_string(), str::to_owned))
        })
        .collect();
    let said = words.join(", ");
    let open =
        report["no_new_privs"] != true || report["capabilities"].as_str().is_some_and(|held| held != "none");
    if open {
        return Check::not("sandbox", State::Bad, said, "start it by its unit: systemctl restart provost");
    }
    match report["seccomp"] == true {
        true => Check::good("sandbox", said),
        false => {
            Check::not("sandbox", State::Look, said, "no filter of system calls stands; its unit sets one")
        }
    }
}
