//! What the documents name is there: tests, files, links, verbs and their options, make's targets, keys of the configuration.
//!
//! In: every page that a reader is sent to. Out: each name in them that nothing in the tree answers to, all at once. It says
//! nothing of whether a sentence is true, only that what it points at exists.

mod pages;
mod tests_named;

use std::collections::BTreeSet;

use clap::{Command, CommandFactory};
use pages::{Page, all};
use regex::Regex;

/// All complaints, one a line, so that one run tells everything.
fn nothing_of(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn every_link_leads_somewhere() {
    let pages = all();
    let mut dead = Vec::new();
    for page in &pages {
        for link in page.links() {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let to = if file.is_empty() { page.path.clone() } else { page.folder().join(file) };
            if !to.exists() {
                dead.push(format!("{}: {link} leads to no file", page.name));
                continue;
            }
            if anchor.is_empty() {
                continue;
            }
            if !Page::read(&to).anchors().contains(anchor) {
                dead.push(format!("{}: {link} leads to no heading", page.name));
            }
        }
    }
    nothing_of(dead);
}

/// `src/enter/child.rs`, `tests/parity`, `systemd/UNIT`: a place in the tree, but for words in capitals, which stand for any.
#[test]
fn every_file_that_is_named_is_there() {
    let place =
        Regex::new(r"^(src|tests|docs|systemd|apparmor|selinux|debian|fuzz|examples)/[A-Za-z0-9_./*-]*$")
            .unwrap();
    let any = Regex::new(r"/[A-Z]{2,}|\*").unwrap();
    let mut missing = Vec::new();
    for page in all() {
        for span in page.spans().iter().filter(|span| place.is_match(span) && !any.is_match(span)) {
            if !pages::root().join(span).exists() {
                missing.push(format!("{}: `{span}`", page.name));
            }
        }
    }
    nothing_of(missing);
}

/// What stands after `provost`, as far as it is a verb or an option of one.
fn follow(mut at: &Command, words: &[&str]) -> Result<(), String> {
    for word in words {
        if let Some(option) = word.strip_prefix("--") {
            let name = option.split('=').next().unwrap();
            let known = at.get_arguments().any(|one| one.get_long() == Some(name));
            if !known && !["help", "version"].contains(&name) {
                return Err(format!("`{}` has no --{name}", at.get_name()));
            }
        } else if let Some(next) = at.find_subcommand(word) {
            at = next;
        } else if at.has_subcommands() {
            return Err(format!("`{}` has no verb \"{word}\"", at.get_name()));
        }
    }
    Ok(())
}

#[test]
fn every_command_has_the_verbs_and_options_that_it_is_shown_with() {
    let (provost, daemon) = (provost::cli::Provost::command(), provost::cli::Daemon::command());
    let call = Regex::new(r"^(?:[#$] )?(?:ssh [a-z0-9@]+ )?(provost|provostd)((?: [^ ]+)*)$").unwrap();
    let end = Regex::new(r" +#| [|>] | …|;").unwrap();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in all() {
        for line in page.spans().into_iter().chain(page.console()) {
            let line = end.split(&line).next().unwrap_or_default().trim();
            let Some(found) = call.captures(line) else { continue };
            let of = if &found[1] == "provost" { &provost } else { &daemon };
            // What a verb's sentence goes on with is not read: a quoted text, an example's name.
            let words: Vec<&str> =
                found[2].split_whitespace().take_while(|word| !word.starts_with('"')).collect();
            seen += 1;
            if let Err(why) = follow(of, &words) {
                wrong.push(format!("{}: {line}: {why}", page.name));
            }
        }
    }
    assert!(seen > 40, "only {seen} commands were found in the pages");
    nothing_of(wrong);
}

#[test]
fn every_target_of_make_is_one() {
    let makefile = std::fs::read_to_string(pages::root().join("Makefile")).unwrap();
    let targets: BTreeSet<&str> =
        makefile.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
    let call = Regex::new(r"^(?:[#$] )?make ([a-z][a-z0-9-]*)").unwrap();
    let mut wrong = Vec::new();
    for page in all() {
        for line in page.spans().into_iter().chain(page.console()) {
            if let Some(found) = call.captures(&line).filter(|found| !targets.contains(&found[1])) {
                wrong.push(format!("{}: {}", page.name, &found[0]));
            }
        }
    }
    nothing_of(wrong);
}

#[test]
fn every_piece_of_configuration_is_taken_by_the_daemons() {
    let mut wrong = Vec::new();
    for page in all() {
        for text in page.blocks("toml") {
            if let Err(error) = provost::config::parse(&page.path, &text) {
                wrong.push(format!("{error}\n{text}"));
            }
        }
    }
    nothing_of(wrong);
}

/// `[exec] host_roots`, and `[listen] vsock = 7100`.
#[test]
fn every_key_that_is_named_is_one() {
    let reference = std::fs::read_to_string(pages::root().join("docs/configuration.md")).unwrap();
    let named = Regex::new(r"^(\[[a-z]+\]) ([a-z_]+)").unwrap();
    let mut wrong = Vec::new();
    for page in all() {
        for span in page.spans() {
            let Some(found) = named.captures(&span) else { continue };
            let section = reference.split("\n## ").find(|part| part.starts_with(&format!("`{}`", &found[1])));
            if !section.is_some_and(|part| part.contains(&format!("| `{}` |", &found[2]))) {
                wrong.push(format!("{}: `{span}`", page.name));
            }
        }
    }
    nothing_of(wrong);
}
