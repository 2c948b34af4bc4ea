//! Every pattern of every release, beside Perl.

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};

use super::samples::matching;
use crate::catalog::{
    check::pattern::{Verdict, verdict},
    testing,
};

/// Texts of which each pattern refuses some.
pub(super) const ODD: [&str; 12] = [
    "",
    " ",
    "\n",
    "\u{1}",
    "a b",
    "!",
    "-",
    "ä",
    "0x",
    "a,b=c",
    "/",
    "...................................................................................................................................................................................................................................................................................",
];

fn patterns() -> BTreeSet<String> {
    let mut patterns = BTreeSet::new();
    for (_, catalog) in testing::catalogs() {
        for endpoint in catalog.endpoints() {
            for parameter in &endpoint.parameters {
                testing::schemas(parameter, &mut |schema| patterns.extend(schema.pattern.clone()));
            }
            testing::within(&endpoint.returns, &mut |schema| patterns.extend(schema.pattern.clone()));
        }
    }
    patterns
}

#[test]
fn every_pattern_runs_and_tells_right_from_wrong() {
    let patterns = patterns();
    assert!(patterns.len() > 80, "{}", patterns.len());
    for pattern in &patterns {
        assert_eq!(verdict(pattern, &matching(pattern, &(0..=usize::MAX))), Verdict::Matches, "{pattern}");
        assert!(ODD.iter().any(|odd| verdict(pattern, odd) == Verdict::Differs), "{pattern} refuses nothing");
        assert!(ODD.iter().all(|odd| matches!(verdict(pattern, odd), Verdict::Matches | Verdict::Differs)));
    }
}

#[test]
fn perl_says_the_same_of_every_pattern() {
    const PROGRAM: &str = r#"
        binmode STDIN, ":utf8";
        local $/ = undef;
        for (split /\x1e/, <STDIN>) {
            my ($pattern, @values) = split /\x1f/, $_, -1;
            print join(",", map { /\A(?:$pattern)\z/ ? 1 : 0 } @values), "\n";
        }
    "#;
    let values = |pattern: &str| {
        let good = matching(pattern, &(0..=usize::MAX));
        let mut values: Vec<String> = ODD.iter().map(|odd| (*odd).to_owned()).collect();
        values.extend([good.to_uppercase(), format!("{good}!"), good.chars().skip(1).collect(), good]);
        values
    };
    let Ok(mut perl) =
        Command::new("perl").args(["-e", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
    else {
        eprintln!("NOT COMPARED with Perl: there is none here");
        return;
    };
    let asked: Vec<(String, Vec<String>)> =
        patterns().into_iter().map(|pattern| (pattern.clone(), values(&pattern))).collect();
    let records = asked.iter().map(|(pattern, values)| format!("{pattern}\x1f{}", values.join("\x1f")));
    let records: Vec<String> = records.collect();
    perl.stdin.take().unwrap().write_all(records.join("\x1e").as_bytes()).unwrap();
    let output = perl.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers = String::from_utf8(output.stdout).unwrap();
    for ((pattern, values), answer) in asked.iter().zip(answers.lines()) {
        for (value, perl) in values.iter().zip(answer.split(',')) {
            assert_eq!(verdict(pattern, value) == Verdict::Matches, perl == "1", "{pattern}: {value:?}");
        }
    }
    assert_eq!(answers.lines().count(), asked.len());
}
