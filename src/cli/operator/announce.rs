//! `provost announce`: a mail to root for each plan that waits, once.
//!
//! The daemon has no way to send one, and should have none. It touches a file when a plan begins to wait, and
//! `systemd/provost-announce.path` starts this as root. PVE routes root's mail to the operator's own notification targets.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::Args;

use super::{Client, Done, Failed, Where};
use crate::control::{Ask, Line, Plans};
use crate::text::clean;

#[derive(Debug, Args)]
pub struct Announce {
    /// Which plans were announced already
    #[arg(long, value_name = "FILE", default_value = "/var/lib/provost-announce/told")]
    told: PathBuf,
    /// The program that takes a mail
    #[arg(long, value_name = "PROGRAM", default_value = "/usr/sbin/sendmail")]
    sendmail: PathBuf,
    #[command(flatten)]
    at: Where,
}

pub fn run(verb: &Announce) -> Done {
    let plans: Plans = Client::at(&verb.at)?.ask(&Ask::Plans {})?;
    let told = std::fs::read_to_string(&verb.told).unwrap_or_default();
    // Those that the daemon has forgotten need not be known here.
    let known = |plan: &&Line| told.lines().any(|id| id == plan.id) || !plan.waits();
    let mut known: Vec<String> = plans.plans.iter().filter(known).map(|plan| word(&plan.id)).collect();
    keep(verb, &known)?;
    for plan in plans.plans.iter().filter(|plan| plan.waits() && !told.lines().any(|id| id == plan.id)) {
        send(verb, plan)?;
        // Each at once: that the next cannot be mailed is no reason to mail this one again.
        known.push(word(&plan.id));
        keep(verb, &known)?;
    }
    Ok(())
}

fn keep(verb: &Announce, known: &[String]) -> Done {
    let lines: String = known.iter().map(|id| format!("{id}\n")).collect();
    std::fs::write(&verb.told, lines)
        .map_err(|error| Failed::Wrong(format!("cannot write {}: {error}", verb.told.display())))
}

fn send(verb: &Announce, plan: &Line) -> Done {
    let failed =
        |error: std::io::Error| Failed::Wrong(format!("cannot mail by {}: {error}", verb.sendmail.display()));
    let mut sendmail =
        Command::new(&verb.sendmail).args(["-i", "root"]).stdin(Stdio::piped()).spawn().map_err(failed)?;
    if let Some(mut input) = sendmail.stdin.take() {
        input.write_all(mail(plan).as_bytes()).map_err(failed)?;
    }
    match sendmail.wait().map_err(failed)? {
        ended if ended.success() => Ok(()),
        ended => Err(failed(std::io::Error::other(ended.to_string()))),
    }
}

/// Nothing of a header is anybody's text.
fn mail(plan: &Line) -> String {
    let id = word(&plan.id);
    let list = |lines: &[String]| -> String {
        lines.iter().map(|line| format!("  {}\n", clean(line.as_bytes()).replace('\n', " "))).collect()
    };
    let text = |text: &str| clean(text.as_bytes()).replace('\n', " ");
    format!(
        "To: root\nSubject: Provost: plan {id} waits for approval\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\nAuto-Submitted: auto-generated\n\n\
         {} asks for {}:\n\n{}\nIt waits because it is\n\n{}\nUntil {}:\n\n  provost approve {id}\n  provost deny {id}\n\n\
         `provost approve` shows the whole plan first. No answer is a no.\n",
        text(&plan.asked_by),
        text(&plan.endpoint),
        list(&plan.summary),
        list(&plan.because),
        plan.expires.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %Z"),
    )
}

fn word(id: &str) -> String {
    id.chars().filter(char::is_ascii_alphanumeric).take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plan_quotes_becomes_no_header_and_no_line_of_the_mail() {
        let plan = Line {
            id: "0011\nBcc: x@example.org".into(),
            state: "waiting".into(),
            asked_by: "user:alice (uid 1000)\nBcc: y@example.org".into(),
            role: "a".into(),
            endpoint: "DELETE /nodes/{node}/lxc/{vmid}".into(),
            guest: Some(105),
            summary: vec!["destroys web\n\nprovost approve ffff\x1b[2J".into()],
            because: vec!["destructive: the guest is gone".into()],
            expires: jiff::Timestamp::UNIX_EPOCH,
            decided_by: None,
            decided_at: None,
            receipt: 7,
        };
        let mail = mail(&plan);
        let (head, body) = mail.split_once("\n\n").unwrap();
        assert!(head.lines().all(|line| !line.starts_with("Bcc")), "{head}");
        assert!(body.starts_with("user:alice (uid 1000) Bcc: y@example.org asks for DELETE"), "{body}");
        assert!(body.contains("  destroys web  provost approve ffff\n"), "{body}");
        assert!(
            body.lines().filter(|line| line.trim().starts_with("provost approve")).count() == 1,
            "{body}"
        );
    }
}
