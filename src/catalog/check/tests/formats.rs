//! Every named format against values of which PVE's own rules say whether they are right.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::catalog::{
    Format, Kind, Schema,
    check::{
        format,
        problem::Problem,
        value::{Findings, Place},
    },
};

struct Sample {
    format: &'static str,
    accepted: bool,
    value: String,
    why: &'static str,
}

fn samples() -> Vec<Sample> {
    let mut format = "";
    let mut samples = Vec::new();
    for line in include_str!("../format/samples.txt").lines() {
        let line = line.trim_end();
        let Some(sample) = line.strip_prefix("  ") else {
            if !line.is_empty() && !line.starts_with('#') {
                format = line;
            }
            continue;
        };
        let (accepted, rest) = match sample.split_once(' ') {
            Some(("+", rest)) => (true, rest),
            Some(("-", rest)) => (false, rest),
            _ => panic!("{line}"),
        };
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let Some(Ok(Value::String(value))) = values.next() else { panic!("{line}") };
        let why = rest[values.byte_offset()..].trim();
        assert!(!why.is_empty(), "{line}: why?");
        samples.push(Sample { format, accepted, value, why });
    }
    samples
}

/// What is wrong with the value, and it passes as it was given or not at all.
fn problems(format: &str, value: &str) -> Vec<Problem> {
    let format = Some(Format::Named(format.to_owned()));
    let schema = Schema { kind: Kind::String, format, ..Schema::default() };
    let mut findings = Findings::default();
    let sent = Place { at: "", parameter: "x", key: None }.scalar(&schema, value, &mut findings);
    assert!(findings.unchecked.is_empty(), "{value:?}: {:?}", findings.unchecked);
    match sent {
        Some(sent) => assert_eq!((sent.as_str(), findings.problems.len()), (value, 0)),
        None => assert!(!findings.problems.is_empty(), "{value:?}: refused without a word"),
    }
    findings.problems
}

#[test]
fn each_value_is_judged_as_pve_judges_it() {
    let wrong: Vec<String> = samples()
        .into_iter()
        .filter(|sample| problems(sample.format, &sample.value).is_empty() != sample.accepted)
        .map(|Sample { format, accepted, value, why }| {
            format!("{format}: PVE {} {value:?}: {why}", if accepted { "takes" } else { "refuses" })
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_format_is_without_two_values_that_are_right_and_two_that_are_wrong() {
    let mut counts: BTreeMap<&str, (usize, usize)> = format::names().map(|name| (name, (0, 0))).collect();
    for sample in samples() {
        let (accepted, refused) =
            counts.get_mut(sample.format).unwrap_or_else(|| panic!("no format is named {}", sample.format));
        *(if sample.accepted { accepted } else { refused }) += 1;
    }
    // There is no text that is no string.
    counts.remove("string");
    let few: Vec<_> = counts.iter().filter(|(_, (good, bad))| *good < 2 || *bad < 2).collect();
    assert!(few.is_empty(), "{few:?}");
}

#[test]
fn what_is_wrong_is_named() {
    let said = |format, value| problems(format, value)[0].to_string();
    assert_eq!(
        said("backup-fleecing", "1, storage=local"),
        "x: invalid format - invalid key in comma-separated list property: ' storage'; the space counts as part of \
         the key: write the parts with a comma alone between them",
    );
    assert_eq!(
        said("prune-backups", "keep-last="),
        "x: invalid format - missing key in comma-separated list property: 'keep-last='; each part is key=value, a \
         key without a value is left out",
    );
    assert_eq!(
        said("pve-startup-order", "up=1,foo=2"),
        "x.foo: property is not defined in schema and the schema does not allow additional properties"
    );
    assert_eq!(said("pve-startup-order", "0"), "x: invalid format - invalid startup order '0'");
    assert_eq!(
        said("pve-qm-boot", "order=scsi0;scsi99"),
        "x.order: invalid format - invalid boot device 'scsi0;scsi99'"
    );
    assert_eq!(
        said("pve-vm-cpu-conf", "host,reported-model=kvm64"),
        "x.reported-model: the CPU of a guest has no model to report: that is of a custom model's definition",
    );
    let key = said("urlencoded", "ssh-ed25519 AA+A");
    assert!(key.contains("+ is %2B") && key.contains("a space is %20"), "{key}");
}
