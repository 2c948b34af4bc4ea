//! What has happened since to what a receipt made: whether it is still there and the same, and who changed it again.
//!
//! A receipt names things by where they stood. A rule's place and a guest's number can be another one's by now.

use serde_json::{Map, Value};

use super::Refused;
use super::eyes::{Eyes, Seen, segments};
use super::fields::{is_same, text};
use super::undo::Inverse;
use crate::catalog::Method;
use crate::ledger::Receipt;
use crate::secret::WITHHELD;

/// Arguments that say where or how, and are no part of a rule.
const NO_PART: &[&str] = &["pos", "digest", "moveto", "delete"];

/// The calls, each rule of a firewall at the place where it stands now. Why not, where it stands nowhere any more.
pub async fn found_again(
    eyes: &Eyes,
    receipt: &Receipt,
    calls: Vec<Inverse>,
) -> Result<Result<Vec<Inverse>, String>, Refused> {
    let mut found = Vec::new();
    for mut call in calls {
        let is_rule = eyes.catalog.endpoint(call.method, &call.path).is_ok_and(|found| {
            let path = &found.endpoint.path;
            path.contains("/firewall/") && path.ends_with("/{pos}")
        });
        // One that is made again has no place yet, and one that moves is told by places alone.
        if !is_rule || call.method == Method::Post || call.args.contains_key("moveto") {
            found.push(call);
            continue;
        }
        let (list, pos) = call.path.rsplit_once('/').unwrap_or_default();
        let Some(made) = receipt.body.get("args").and_then(Value::as_object) else {
            found.push(call);
            continue;
        };
        let Some(rows) = rows(eyes, list).await? else {
            return Ok(Err("the list of rules could not be read".to_owned()));
        };
        let fits = |row: &Value| made.iter().all(|(name, value)| is_as_made(row, name, value));
        let place = |row: &Value| row.get("pos").map(text);
        let at = |pos: &str| rows.iter().find(|row| place(row).as_deref() == Some(pos));
        if at(pos).is_some_and(fits) {
            found.push(call);
            continue;
        }
        let mut others = rows.iter().filter(|row| fits(row));
        match (others.next().and_then(place), others.next()) {
            (Some(now), None) => call.path = format!("{list}/{now}"),
            (Some(_), Some(_)) => {
                return Ok(Err("several rules are as this one was, and none stands where it did".to_owned()));
            }
            (None, _) => return Ok(Err("the rule is not there any more, or is another by now".to_owned())),
        }
        found.push(call);
    }
    Ok(Ok(found))
}

fn is_as_made(row: &Value, name: &str, value: &Value) -> bool {
    if NO_PART.contains(&name) {
        return true;
    }
    match row.get(name) {
        Some(there) => is_same(None, there, value),
        // What is off by itself is left out.
        None => matches!(text(value).as_str(), "0" | ""),
    }
}

async fn rows(eyes: &Eyes, list: &str) -> Result<Option<Vec<Value>>, Refused> {
    Ok(match look(eyes, list).await? {
        Seen::There(Value::Array(rows)) => Some(rows),
        _ => None,
    })
}

/// What a concrete path gives.
async fn look(eyes: &Eyes, path: &str) -> Result<Seen, Refused> {
    let Ok(found) = eyes.catalog.endpoint(Method::Get, path) else {
        return Ok(Seen::Hidden(format!("the API has no GET {path}")));
    };
    Ok(eyes.look(&found.endpoint.path, &found.args(), &[]).await?)
}

/// Fields that are not as the change left them, and things that go with whatever was done to them since.
pub async fn changed(eyes: &Eyes, receipt: &Receipt, calls: &[Inverse]) -> Result<Vec<String>, Refused> {
    let mut warnings = Vec::new();
    let none = Map::new();
    let made = receipt.body.get("args").and_then(Value::as_object).unwrap_or(&none);
    for call in calls {
        if call.method == Method::Delete {
            let last = segments(&call.path).pop().unwrap_or_default();
            let guest = call.path.contains("/qemu/") || call.path.contains("/lxc/");
            if guest && last.parse::<u32>().is_ok() {
                warnings.push(format!(
                    "guest {last} is removed as it is now: what was done to it since, or another that has its number by now, goes too"
                ));
            }
            continue;
        }
        let Ok(found) = eyes.catalog.endpoint(call.method, &call.path) else { continue };
        if call.method != Method::Put {
            continue;
        }
        let Seen::There(Value::Object(now)) = look(eyes, &call.path).await? else { continue };
        for (name, set) in made.iter().filter(|(name, _)| !NO_PART.contains(&name.as_str())) {
            let Some(there) = now.get(name) else { continue };
            let withheld = set.as_str().is_some_and(|set| set.contains(WITHHELD));
            if !withheld && !is_same(found.endpoint.parameter(name), there, set) {
                warnings.push(format!(
                    "{name} has been changed since the receipt, and that is taken back with it"
                ));
            }
        }
    }
    Ok(warnings)
}
