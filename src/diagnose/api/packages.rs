//! Repositories, updates and kernels of a node.

use serde_json::Value;

use super::super::{Gathered, Page};
use super::{Fields, rows};

pub fn subscription(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    page.fact(gathered.answer("subscription")?.text("status"));
    Ok(())
}

pub fn repositories(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let answer = gathered.answer("repositories")?;
    for error in answer["errors"].as_array().into_iter().flatten() {
        let evidence = format!("{}: {}", error.text("path"), error.text("error"));
        page.flag(
            "repository_broken",
            format!("repositories in {} cannot be read", error.text("path")),
            evidence,
        );
    }
    let holds = |list: &Value, words: &[&str]| {
        let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.into_iter().any(|text| words.iter().any(|word| text.contains(word)))
    };
    let files = answer["files"].as_array().ok_or("PVE listed no repository files")?;
    let enabled: Vec<&Value> = files
        .iter()
        .flat_map(|file| file["repositories"].as_array().into_iter().flatten())
        .filter(|repository| repository.flag("Enabled") == Some(true))
        .collect();
    let with = |words: &[&str]| enabled.iter().any(|repository| holds(&repository["Components"], words));
    let enterprise = with(&["pve-enterprise"]);
    let (free, test) = (with(&["pve-no-subscription"]), with(&["pvetest", "pve-test"]));
    page.fact(format!("{} enabled{}", enabled.len(), if free { ", without subscription" } else { "" }));
    if enterprise {
        // PVE says "notfound", "expired" and others of who has none.
        match gathered.answer("subscription").map(|subscription| subscription.text("status")) {
            Ok("active") => {}
            Ok(status) => page.flag(
                "enterprise_without_subscription",
                "the enterprise repository is enabled and there is no valid subscription",
                format!(
                    "subscription \"{status}\"{}",
                    if free { "; pve-no-subscription is enabled too" } else { "" }
                ),
            ),
            Err(why) => page.cannot_tell(format!("whether the enterprise repository may be used: {why}")),
        }
    }
    if !(enterprise || free || test) {
        page.flag(
            "no_pve_repository",
            "no repository of Proxmox VE is enabled",
            format!("{} others are", enabled.len()),
        );
    }
    if test {
        page.flag("test_repository", "the test repository is enabled", "component pvetest or pve-test");
    }
    Ok(())
}

pub fn updates(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let rows = rows(gathered.answer("node_updates")?)?;
    page.fact(format!("{} updates wait", rows.len()));
    if rows.len() as f64 >= page.limit("updates_pending") {
        let names: Vec<&str> = rows.iter().take(10).map(|row| row.text("Package")).collect();
        page.flag(
            "updates_pending",
            format!("{} updates wait to be installed", rows.len()),
            names.join(", "),
        );
    }
    Ok(())
}

/// `6.17.2-1-pve` as numbers, to be compared.
fn release(text: &str) -> Vec<u32> {
    text.split(|byte: char| !byte.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

pub fn kernel(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let packages = rows(gathered.answer("versions")?)?;
    let status = gathered.answer("node_status");
    let running = status.as_ref().map(|status| status["current-kernel"].text("release")).unwrap_or_default();
    let running = match running {
        "" => packages.iter().map(|package| package.text("RunningKernel")).find(|kernel| !kernel.is_empty()),
        running => Some(running),
    };
    let running = running.ok_or("PVE does not say which kernel runs")?;
    let installed =
        packages.iter().filter(|package| package.text("CurrentState") == "Installed").filter_map(|package| {
            let name = package.text("Package");
            let release =
                name.strip_prefix("proxmox-kernel-").or_else(|| name.strip_prefix("pve-kernel-"))?;
            // `proxmox-kernel-6.17` only says which series is followed.
            Some(release.trim_end_matches("-signed")).filter(|release| release.ends_with("-pve"))
        });
    let newest = installed.max_by_key(|name| release(name));
    page.fact(format!("kernel {running} runs, the newest installed is {}", newest.unwrap_or("not known")));
    if let Some(newest) = newest.filter(|newest| release(newest) > release(running)) {
        page.flag(
            "reboot_pending",
            format!("kernel {newest} is installed and {running} runs"),
            "the node has not been rebooted since",
        );
    }
    Ok(())
}
