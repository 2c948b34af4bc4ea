//! What the daemon says of itself.

use super::{Check, Client, State};
use crate::cli::operator::{Failed, Where};
use crate::control::{Ask, Catalogue, Examined, Plans, Walls};
use crate::product::Product;

/// The checks, and what others rest on.
pub struct Said {
    pub checks: Vec<Check>,
    pub examined: Option<Examined>,
    pub walls: Option<Walls>,
}

impl Said {
    /// Nothing but why there is nothing.
    pub fn only(check: Check) -> Self {
        Self { checks: vec![check], examined: None, walls: None }
    }
}

pub fn checks(at: &Where, product: Product) -> Said {
    let asked: Result<(Catalogue, Plans), Failed> =
        Client::at(at).and_then(|client| Ok((client.ask(&Ask::Catalogue {})?, client.ask(&Ask::Plans {})?)));
    let (catalogue, plans) = match asked {
        Ok(answers) => answers,
        Err(error) => {
            let mend = "systemctl status provost; journalctl -u provost";
            return Said::only(Check::not("daemon", State::Bad, error.to_string(), mend));
        }
    };
    let examined = Client::at(at).and_then(|client| client.ask::<Examined>(&Ask::Examine {}));
    let mut checks = vec![version(examined.as_ref())];
    let examined = examined.ok();
    if let Some(examined) = &examined {
        checks.extend(inside(examined, product));
    }
    let walls = Client::at(at).and_then(|client| client.ask::<Walls>(&Ask::Walls {}));
    checks.push(match &walls {
        Ok(walls) => sandbox(walls),
        Err(error) => Check::not("sandbox", State::Look, error.to_string(), "systemctl restart provost"),
    });
    checks.push(match &catalogue.problem {
        None => {
            Check::good("catalogue", format!("{} endpoints, from {}", catalogue.endpoints, catalogue.origin))
        }
        Some(problem) => Check::not(
            "catalogue",
            State::Look,
            format!("{} endpoints, {}: {problem}", catalogue.endpoints, catalogue.origin),
            format!("install {}, or name its apidoc.js as [pve] apidoc", product.facts().docs),
        ),
    });
    checks.push(match catalogue.unclassified.len() {
        0 => Check::good("tiers", "each call that changes something has one"),
        count => Check {
            items: catalogue.unclassified.clone(),
            ..Check::not(
                "tiers",
                State::Look,
                format!("{count} calls of this {product} are in no table, and count as destructive"),
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
    Said { checks, examined, walls: walls.ok() }
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
fn inside(examined: &Examined, product: Product) -> Vec<Check> {
    let mut checks = Vec::new();
    if let Some(error) = &examined.configuration {
        let mend = "correct the file; the daemon takes it up by itself";
        let said = format!("the file is not in force, and what it said before is: {error}");
        checks.push(Check::not("in force", State::Bad, said, mend));
    }
    checks.extend(examined.tokens.iter().map(|given| token(given, product)));
    if !examined.aside.is_empty() {
        let said = format!("{} does not answer, and is left alone for a while", examined.aside.join(" and "));
        checks.push(Check::not(
            "pve aside",
            State::Look,
            said,
            match product {
                Product::Pve => "systemctl status pveproxy pvedaemon pve-cluster".to_owned(),
                other => format!("systemctl status {} {}", other.facts().proxy, other.facts().daemon),
            },
        ));
    }
    checks.push(ledger(examined));
    checks
}

fn token(token: &crate::control::Token, product: Product) -> Check {
    let name = token.id.clone().unwrap_or_else(|| token.given.display().to_string());
    match &token.problem {
        None => Check::good("token works", format!("{product} takes {name}")),
        Some(problem) => {
            let mend = match problem.contains("401") || problem.contains("does not know") {
                true => format!(
                    "provost setup makes another, or says how: {product} does not know this one, or it has expired"
                ),
                false => "provost setup, or what is said there".to_owned(),
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
        return of(
            State::Look,
            why,
            "provost audit query --kind intent; look at their tasks in its web interface",
        );
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

/// What holds the daemon in.
fn sandbox(walls: &Walls) -> Check {
    let not = |state, evidence: String, mend: &str| Check {
        items: walls.missing.clone(),
        ..Check::not("sandbox", state, evidence, mend)
    };
    match walls.landlock_abi {
        None => not(
            State::Bad,
            "the kernel has no Landlock: which files and ports are the daemon's, the unit and permissions alone say".into(),
            "boot a kernel that has it (PVE's do), with landlock among lsm= if its command line has that",
        ),
        Some(abi) if walls.uid == 0 => not(
            State::Look,
            format!("Landlock ABI {abi}, and provostd runs as root: without a capability, and yet root's files are its own"),
            "start it by its unit, which runs it as provost: systemctl start provost",
        ),
        Some(abi) if walls.missing.is_empty() => Check::good("sandbox", format!("Landlock ABI {abi}, all of it")),
        Some(abi) => not(
            State::Look,
            format!("Landlock ABI {abi}, and not all of it"),
            "each line says what does not hold, and why; a newer kernel holds more",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walls_that_do_not_stand_are_said_one_by_one_with_what_mends_them() {
        let walls = |uid, landlock_abi, missing: &[&str]| {
            let missing = missing.iter().map(|line| (*line).to_owned()).collect();
            sandbox(&Walls { uid, landlock_abi, missing, hidden: None })
        };
        assert_eq!(walls(990, Some(7), &[]).state, State::Good);
        assert_eq!(walls(0, Some(7), &[]).state, State::Look);
        let none = walls(990, None, &["files: any", "TCP ports: any"]);
        assert_eq!((none.state, none.items.len()), (State::Bad, 2));
        let old = walls(990, Some(1), &["TCP ports: any"]);
        assert_eq!((old.state, old.items.len(), old.mend.is_some()), (State::Look, 1, true));
    }
}
