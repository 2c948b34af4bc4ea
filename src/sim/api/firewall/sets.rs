//! What rules name: aliases of networks, and sets of them.

use serde_json::{Value, json};

use super::{here, here_mut, with_comment};
use crate::sim::answer::{Refusal, Reply};
use crate::sim::call::Call;
use crate::sim::estate::firewall::{Alias, Member, Set, shown_digest};

fn alias_row(name: &str, alias: &Alias, digest: &str) -> Value {
    let version = if alias.cidr.contains(':') { 6 } else { 4 };
    let row = json!({ "name": name, "cidr": alias.cidr, "ipversion": version, "digest": digest });
    with_comment(row, alias.comment.as_ref())
}

pub fn aliases(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let aliases = &here(call)?.aliases;
    let digest = shown_digest(aliases);
    Ok(aliases.iter().map(|(name, alias)| alias_row(name, alias, &digest)).collect::<Value>().into())
}

fn no_alias() -> Refusal {
    Refusal::parameter("name", "no such alias")
}

pub fn alias(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (name, firewall) = (call.need("name"), here(call)?);
    let alias = firewall.aliases.get(&name).ok_or_else(no_alias)?;
    Ok(alias_row(&name, alias, &shown_digest(&firewall.aliases)).into())
}

pub fn create_alias(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.need("name").to_lowercase();
    if here(call)?.aliases.contains_key(&name) {
        return Err(Refusal::parameter("name", format!("alias '{name}' already exists")));
    }
    let alias = Alias { cidr: call.need("cidr"), comment: call.get("comment").map(str::to_owned) };
    here_mut(call)?.aliases.insert(name, alias);
    Ok(Reply::NULL)
}

pub fn change_alias(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (name, firewall) = (call.need("name"), here(call)?);
    call.fresh(&shown_digest(&firewall.aliases))?;
    firewall.aliases.get(&name).ok_or_else(no_alias)?;
    let alias = Alias { cidr: call.need("cidr"), comment: call.get("comment").map(str::to_owned) };
    let rename = call.get("rename").unwrap_or(&name).to_owned();
    let aliases = &mut here_mut(call)?.aliases;
    aliases.remove(&name);
    aliases.insert(rename, alias);
    Ok(Reply::NULL)
}

pub fn remove_alias(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (name, firewall) = (call.need("name"), here(call)?);
    call.fresh(&shown_digest(&firewall.aliases))?;
    firewall.aliases.get(&name).ok_or_else(no_alias)?;
    here_mut(call)?.aliases.remove(&name);
    Ok(Reply::NULL)
}

pub fn sets(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let sets = &here(call)?.sets;
    let digest = shown_digest(sets);
    let rows = sets
        .iter()
        .map(|(name, set)| with_comment(json!({ "name": name, "digest": digest }), set.comment.as_ref()));
    Ok(rows.collect::<Value>().into())
}

fn found<'a>(call: &'a Call<'_>) -> Result<&'a Set, Refusal> {
    let name = call.need("name");
    let set = here(call)?.sets.get(&name);
    set.ok_or_else(|| Refusal::die(format!("no such IPSet '{name}'")))
}

pub fn create_set(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.need("name");
    let comment = call.get("comment").map(str::to_owned);
    if let Some(old) = call.get("rename").map(str::to_owned) {
        let mut set = here_mut(call)?.sets.remove(&old);
        let mut set = set.take().ok_or_else(|| Refusal::die(format!("IPSet '{old}' does not exist")))?;
        set.comment = comment.or(set.comment);
        here_mut(call)?.sets.insert(name, set);
        return Ok(Reply::NULL);
    }
    if here(call)?.sets.contains_key(&name) {
        return Err(Refusal::parameter("name", format!("IPSet '{name}' already exists")));
    }
    here_mut(call)?.sets.insert(name, Set { comment, members: Vec::new() });
    Ok(Reply::NULL)
}

pub fn remove_set(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    if !found(call)?.members.is_empty() && !call.flag("force") {
        return Err(Refusal::die("IPSet is not empty"));
    }
    let name = call.need("name");
    here_mut(call)?.sets.remove(&name);
    Ok(Reply::NULL)
}

fn member_row(member: &Member, digest: &str) -> Value {
    let mut row = json!({ "cidr": member.cidr, "digest": digest });
    if member.nomatch {
        row["nomatch"] = json!(1);
    }
    with_comment(row, member.comment.as_ref())
}

pub fn set(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let set = found(call)?;
    let digest = shown_digest(&set.members);
    Ok(set.members.iter().map(|member| member_row(member, &digest)).collect::<Value>().into())
}

fn no_member(cidr: &str) -> Refusal {
    Refusal::parameter("cidr", format!("no such IP/Network '{cidr}'"))
}

pub fn member(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (cidr, set) = (call.need("cidr"), found(call)?);
    let member = set.members.iter().find(|member| member.cidr == cidr).ok_or_else(|| no_member(&cidr))?;
    Ok(member_row(member, &shown_digest(&set.members)).into())
}

pub fn add_member(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let cidr = call.need("cidr");
    if found(call)?.members.iter().any(|member| member.cidr == cidr) {
        return Err(Refusal::parameter("cidr", format!("address '{cidr}' already exists")));
    }
    let member =
        Member { cidr, nomatch: call.flag("nomatch"), comment: call.get("comment").map(str::to_owned) };
    let name = call.need("name");
    if let Some(set) = here_mut(call)?.sets.get_mut(&name) {
        set.members.insert(0, member);
    }
    Ok(Reply::NULL)
}

pub fn change_member(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (cidr, name) = (call.need("cidr"), call.need("name"));
    call.fresh(&shown_digest(&found(call)?.members))?;
    let (nomatch, comment) = (call.flag("nomatch"), call.get("comment").map(str::to_owned));
    let set = here_mut(call)?.sets.get_mut(&name);
    let member = set.and_then(|set| set.members.iter_mut().find(|member| member.cidr == cidr));
    let member = member.ok_or_else(|| no_member(&cidr))?;
    (member.nomatch, member.comment) = (nomatch, comment);
    Ok(Reply::NULL)
}

pub fn remove_member(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (cidr, name) = (call.need("cidr"), call.need("name"));
    let set = found(call)?;
    call.fresh(&shown_digest(&set.members))?;
    if !set.members.iter().any(|member| member.cidr == cidr) {
        return Err(no_member(&cidr));
    }
    if let Some(set) = here_mut(call)?.sets.get_mut(&name) {
        set.members.retain(|member| member.cidr != cidr);
    }
    Ok(Reply::NULL)
}
