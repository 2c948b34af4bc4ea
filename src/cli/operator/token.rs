//! `provost token issue`, `list`, `refresh`, `revoke`: the tokens by which clients over HTTP are known.
//!
//! The token itself goes to standard output and nowhere else; what is to be known about it, to standard error.

use std::ffi::CString;
use std::io::{self, Write};

use clap::{Args, Subcommand};
use nix::unistd::{Gid, Group, User, getgrouplist};

use super::show::{FAINT, NO, WAITS, YES, clock};
use super::{Client, Done, Failed, Where, show};
use crate::config;
use crate::control::{ActsAs, Ask, GivenOut, GivenToken, TakenBack, Tokens};
use crate::text::clean;

#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// Give out a token for a client over HTTP: printed once, and never again
    #[command(
        after_help = "A token may what its role may at each moment, and never more than whoever gave it out.\n\n\
        TOKEN=$(provost token issue --as operator --ttl 15m)\n\
        curl --unix-socket /run/provost/http.sock -H \"Authorization: Bearer $TOKEN\" \\\n  \
        -d '{}' http://localhost/v1/tools/status"
    )]
    Issue(Issue),
    /// The clients' tokens that are known: not the tokens themselves
    List(List),
    /// Give out the same token for another while, inside its window
    Refresh(Refresh),
    /// Take a client's token back, at once
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub struct Issue {
    /// A role, or an account: NAME, role:NAME or user:NAME [default: yourself]
    #[arg(long = "as", value_name = "ROLE|USER")]
    acts_as: Option<String>,
    /// How long it lasts: 90s, 15m, 2h; 24h at most
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = seconds)]
    ttl: u32,
    /// How long it may be refreshed, by whoever holds it while it lasts; 0s: not at all, 7d at most
    #[arg(long, value_name = "TIME", default_value = "8h", value_parser = seconds)]
    refresh_for: u32,
    /// When it begins, from now
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = seconds)]
    not_before: u32,
    /// As JSON, the token in it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub struct List {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub struct Refresh {
    /// As `provost token list` names it
    #[arg(value_name = "ID")]
    id: String,
    /// As JSON, the token in it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    at: Where,
}

#[derive(Debug, Args)]
pub struct Revoke {
    /// As `provost token list` names it
    #[arg(value_name = "ID")]
    id: String,
    /// Why, for the record
    #[arg(long, default_value = "")]
    why: String,
    #[command(flatten)]
    at: Where,
}

pub fn run(verb: &TokenVerb) -> (&'static str, Done) {
    match verb {
        TokenVerb::Issue(issue) => ("token issue", self::issue(issue)),
        TokenVerb::List(verb) => ("token list", list(verb)),
        TokenVerb::Refresh(verb) => {
            let asked = || Client::at(&verb.at)?.ask(&Ask::RefreshToken { id: verb.id.clone() });
            ("token refresh", asked().and_then(|out| given_out(&out, verb.json)))
        }
        TokenVerb::Revoke(verb) => ("token revoke", revoke(verb)),
    }
}

fn issue(verb: &Issue) -> Done {
    let acts_as = match verb.acts_as.as_deref() {
        None => ActsAs::Me,
        Some(name) => acts_as(name, &verb.at)?,
    };
    let ask =
        Ask::IssueToken { acts_as, ttl_s: verb.ttl, window_s: verb.refresh_for, delay_s: verb.not_before };
    given_out(&Client::at(&verb.at)?.ask(&ask)?, verb.json)
}

fn given_out(out: &GivenOut, json: bool) -> Done {
    if json {
        return show::json(out);
    }
    let about = &out.about;
    let mut said = anstream::stderr().lock();
    let role = about.role.as_deref().map_or("none: it may do nothing".into(), |role| clean(role.as_bytes()));
    writeln!(said, "token:{}, as {}, in role {role}", about.id, clean(about.acts_as.as_bytes()))?;
    write!(said, "expires {}", about.expires)?;
    match about.refresh_until > about.expires {
        true => writeln!(said, "; may be refreshed until {}", about.refresh_until)?,
        false => writeln!(said)?,
    }
    Ok(writeln!(io::stdout(), "{}", out.token)?)
}

fn list(verb: &List) -> Done {
    let listed: Tokens = Client::at(&verb.at)?.ask(&Ask::Tokens {})?;
    if verb.json {
        return show::json(&listed);
    }
    let mut out = anstream::stdout().lock();
    if listed.http.is_none() {
        writeln!(out, "{WAITS}HTTP is off: [listen] http is not set, and no token opens anything.{WAITS:#}")?;
    }
    if listed.tokens.is_empty() {
        return Ok(writeln!(out, "No token is known. provost token issue gives one out.")?);
    }
    listed.tokens.iter().try_for_each(|token| line(&mut out, token))
}

fn line(out: &mut impl Write, token: &GivenToken) -> Done {
    let text = |text: &str| show::one_line(text);
    let colour = match token.state.as_str() {
        "active" => YES,
        "revoked" => NO,
        _ => FAINT,
    };
    let role =
        token.role.as_deref().map_or("no role: may do nothing".into(), |role| format!("role {}", text(role)));
    writeln!(
        out,
        "{}  {colour}{:<8}{colour:#} {:<20} {role}, from {}",
        text(&token.id),
        text(&token.state),
        text(&token.acts_as),
        text(&token.issuer)
    )?;
    let revoked = token.revoked_by.as_deref().map(|by| format!(", revoked by {}", text(by)));
    Ok(writeln!(
        out,
        "  {FAINT}issued {}, expires {}, may be refreshed until {}{}{FAINT:#}",
        clock(token.issued),
        clock(token.expires),
        clock(token.refresh_until),
        revoked.unwrap_or_default()
    )?)
}

fn revoke(verb: &Revoke) -> Done {
    let ask = Ask::RevokeToken { id: verb.id.clone(), why: verb.why.clone() };
    let back: TakenBack = Client::at(&verb.at)?.ask(&ask)?;
    let mut out = anstream::stdout().lock();
    writeln!(out, "token:{} opens nothing any more.", show::one_line(&back.token.id))?;
    match &back.note {
        Some(note) => Ok(writeln!(out, "{NO}{}{NO:#}", show::one_line(note))?),
        None => Ok(()),
    }
}

/// Who is meant: a bare name is a role's where one has it, else an account's.
fn acts_as(name: &str, at: &Where) -> Result<ActsAs, Failed> {
    if let Some(role) = name.strip_prefix("role:") {
        return Ok(ActsAs::Role(role.to_owned()));
    }
    if let Some(user) = name.strip_prefix("user:") {
        let unknown = || Failed::Wrong(format!("this node knows no account {}", clean(user.as_bytes())));
        return account(user).ok_or_else(unknown);
    }
    let known = config::load(&config::path(at.config.clone())).ok();
    let is_role = known.is_some_and(|config| config.roles.iter().any(|role| role.name == name));
    match is_role {
        true => Ok(ActsAs::Role(name.to_owned())),
        false => Ok(account(name).unwrap_or_else(|| ActsAs::Role(name.to_owned()))),
    }
}

/// An account of the node, with its groups.
fn account(name: &str) -> Option<ActsAs> {
    let user = match name.parse() {
        Ok(uid) => User::from_uid(uid_of(uid)).ok()??,
        Err(_) => User::from_name(name).ok()??,
    };
    let mut groups = getgrouplist(&CString::new(user.name.clone()).ok()?, user.gid).unwrap_or_default();
    groups.retain(|gid| *gid != user.gid);
    groups.insert(0, user.gid);
    let named = |gid: Gid| (gid.as_raw(), Group::from_gid(gid).ok().flatten().map(|group| group.name));
    let groups = groups.into_iter().map(named).collect();
    Some(ActsAs::User { uid: user.uid.as_raw(), name: Some(user.name), groups })
}

fn uid_of(uid: u32) -> nix::unistd::Uid {
    nix::unistd::Uid::from_raw(uid)
}

/// Whole seconds of a time such as `90s`, `15m` or `2h`.
fn seconds(text: &str) -> Result<u32, String> {
    let wrong = || format!("\"{text}\" is no time such as 90s, 15m or 2h");
    // A day is 24 hours here.
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let span = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    u32::try_from(span.as_secs()).ok().filter(|_| span.subsec_nanos() == 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_its_unit_and_anything_else_is_refused() {
        for (text, is) in [("90s", 90), ("15m", 900), ("2h", 7200), ("1d", 86400), ("1h30m", 5400), ("0s", 0)]
        {
            assert_eq!(seconds(text), Ok(is), "{text}");
        }
        for text in ["", "15", "-1m", "1.5", "m", "15 parsecs", "500ms", "200y", "99999999999s"] {
            assert!(seconds(text).is_err(), "{text}: {:?}", seconds(text));
        }
    }
}
