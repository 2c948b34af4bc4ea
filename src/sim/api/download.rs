//! What comes onto a storage from elsewhere: images, uploads and containers' templates.

use serde_json::{Value, json};

use super::super::answer::{Refusal, Reply};
use super::super::call::Call;
use super::super::estate::volume::Volume;
use super::super::estate::{Estate, now};
use super::super::route::Row;
use super::super::task::Work;
use crate::catalog::Method::{Get, Post};

pub const TABLE: &[Row] = &[
    (Post, "/nodes/{node}/storage/{storage}/download-url", download),
    (Post, "/nodes/{node}/storage/{storage}/oci-registry-pull", download),
    (Post, "/nodes/{node}/storage/{storage}/upload", download),
    (Post, "/nodes/{node}/aplinfo", template),
    (Get, "/nodes/{node}/aplinfo", templates),
];

/// Templates that can be downloaded.
const TEMPLATES: &[(&str, &str, &str)] = &[
    ("debian-13-standard_13.1-2_amd64.tar.zst", "debian-13", "system"),
    ("ubuntu-24.04-standard_24.04-2_amd64.tar.zst", "ubuntu-24.04", "system"),
    ("alpine-3.22-default_20250617_amd64.tar.xz", "alpine-3.22", "system"),
];

/// Of the kind that is asked for, under the name that is asked for.
fn download(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let (storage, node) = (call.need("storage"), call.node());
    let section = call.estate.storage(&storage)?.clone();
    let reference = call
        .get("reference")
        .map(|reference| reference.rsplit('/').next().unwrap_or("image").replace(':', "_"));
    let name = call.get("filename").map(str::to_owned).or(reference).unwrap_or_default();
    let content = match call.get("content").unwrap_or("vztmpl") {
        "iso" => "iso",
        "import" => "import",
        _ => "vztmpl",
    };
    if !section.get("content").unwrap_or_default().split(',').any(|word| word == content) {
        return Err(Refusal::die(format!(
            "can't upload to storage type '{}', not configured for '{content}'",
            section.kind
        )));
    }
    let ends: &[&str] = match content {
        "iso" => &[".iso", ".img"],
        "vztmpl" => &[".tar.gz", ".tar.xz", ".tar.zst", ".tar"],
        _ => &[".ova", ".qcow2", ".raw", ".vmdk"],
    };
    if call.get("reference").is_none() && !ends.iter().any(|end| name.ends_with(end)) {
        return Err(Refusal::parameter(
            "filename",
            format!("wrong file extension, expected one of {}", ends.join(", ")),
        ));
    }
    let url = call.get("url").or(call.get("reference")).unwrap_or(&name).to_owned();
    let format = name.rsplit('.').next().unwrap_or("raw").to_owned();
    let new = Volume {
        node: if Estate::is_shared(&section) { String::new() } else { node },
        storage: section.id,
        name: format!("{content}/{name}"),
        content,
        format: if content == "iso" { "iso".to_owned() } else { format },
        size: 512 << 20,
        used: 512 << 20,
        ..Volume::default()
    };
    let work =
        Work::new().step(0.5, format!("downloading {url}")).copy(512 << 20).end(move |estate, lines| {
            lines.push(format!("download of '{url}' finished"));
            estate.add_volume(Volume { created: now(), ..new });
            Ok(())
        });
    call.task(if call.endpoint.path.ends_with("upload") { "imgcopy" } else { "download" }, &name, work)
}

fn templates(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    if !call.estate.statistics {
        return Ok(json!([]).into());
    }
    let rows = TEMPLATES.iter().map(|(template, os, section)| {
        json!({
            "template": template, "os": os, "section": section, "type": "lxc", "source": "https://download.example.org",
            "headline": os, "package": os, "version": "1", "architecture": "amd64", "infopage": "https://example.org",
        })
    });
    Ok(rows.collect::<Value>().into())
}

fn template(call: &mut Call<'_>) -> Result<Reply, Refusal> {
    let name = call.need("template");
    if !TEMPLATES.iter().any(|(template, _, _)| *template == name) {
        return Err(Refusal::parameter("template", format!("no such template '{name}'")));
    }
    let (storage, node) = (call.need("storage"), call.node());
    call.caller().need(&format!("/storage/{storage}"), &["Datastore.AllocateTemplate"])?;
    call.estate.storage(&storage)?;
    let new = Volume {
        storage,
        node,
        format: name.rsplit('.').next().unwrap_or("tar").to_owned(),
        name: format!("vztmpl/{name}"),
        content: "vztmpl",
        size: 130 << 20,
        used: 130 << 20,
        created: now(),
        ..Volume::default()
    };
    let work = Work::new().copy(130 << 20).end(move |estate, _| {
        estate.add_volume(new);
        Ok(())
    });
    call.task("download", name, work)
}
