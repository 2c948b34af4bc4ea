//! What is refused, with which line and words; and that nothing else happens.

use super::*;
use crate::enter::policy::{MAX_POLICY_BYTES, MAX_RULES, PolicyError};

#[test]
fn a_refusal_names_the_line_the_text_and_what_was_expected() {
    for (policy, expected) in [
        ("", r#"line 1: "": expected the policy's version"#),
        ("# a comment\n2\ndenylist\n", r##"line 1: "# a comment": expected the policy's version"##),
        ("3\ndenylist\n", r#"line 1: "3": expected the policy's version"#),
        ("99999999999\ndenylist\n", "expected the policy's version"),
        ("2", r#"line 1: "": expected `denylist` or `allowlist`"#),
        ("2\n\n\ngreylist\n", r#"line 4: "greylist": expected `denylist` or `allowlist`"#),
        ("2\ndenylist debug\n", r#"line 2: "denylist debug": expected no `debug`"#),
        ("2\ndenylist \n", r#"line 2: "denylist ": expected an action"#),
        ("2\nallowlist log\n", r#"line 2: "allowlist log": expected an action"#),
        ("2\nallowlist errno EPERM\n", "line 2: \"allowlist errno EPERM\": expected a decimal number"),
        ("2\nallowlist notify\n", "expected a default other than notify"),
        ("2\ndenylist\n[amd64]\n", r#"line 3: "[amd64]": expected an architecture"#),
        ("2\r\ndenylist\r\n[all]\r\n", r#"line 3: "[all]\r": expected an architecture"#),
        ("2\ndenylist\n\nswapon deny\n", r#"line 4: "swapon deny": expected an action"#),
        ("2\ndenylist\n  swapon errno 1\n", "line 3: \"  swapon errno 1\": expected an action"),
        ("2\ndenylist\nswapon errno\n", "expected a decimal number after `errno`"),
        ("2\ndenylist\nswapon errno 4294967296\n", "expected a decimal number after `errno`"),
        ("2\ndenylist\nioctl [1,2,==]\n", "expected an action"),
        ("2\ndenylist\nioctl errno 1 [1,2\n", "expected conditions of the form"),
        ("2\ndenylist\nioctl errno 1 []\n", "expected conditions of the form"),
        ("2\ndenylist\nioctl errno 1 [1;2;==]\n", "expected conditions of the form"),
        ("2\ndenylist\nioctl errno 1 [1,2,==] # why\n", "and nothing after"),
        ("2\ndenylist\nioctl errno 1 # see [1]\n", "expected conditions of the form"),
        ("2\ndenylist\nioctl errno 1 [6,2,==]\n", "expected an argument's index, 0 to 5"),
        ("2\ndenylist\nioctl errno 1 [-1,2,==]\n", "expected an argument's index, 0 to 5"),
        ("2\ndenylist\nioctl errno 1 [1,-2,==]\n", "expected a value of 64 bits"),
        ("2\ndenylist\nioctl errno 1 [1,18446744073709551616,==]\n", "expected a value of 64 bits"),
        ("2\ndenylist\nioctl errno 1 [1,000000000000000000000012,==]\n", "expected a value of 64 bits"),
        ("2\ndenylist\nioctl errno 1 [1,2,&=,x]\n", "expected a mask of 64 bits"),
        ("2\ndenylist\nioctl errno 1 [1,2,=]\n", "expected a comparison"),
        ("2\ndenylist\nioctl errno 1 [1,2, ==]\n", "expected a comparison"),
        ("2\ndenylist\nioctl errno 1 [1,2,SCMP_CMP_EQUAL]\n", "expected a comparison"),
        (
            "2\ndenylist\nacct\nswapon allow\n",
            "line 4: \"swapon\": the action is the policy's default action",
        ),
        (
            "2\ndenylist\nioctl errno 1 [1,2,>][1,9,<]\n",
            "line 3: \"ioctl\": libseccomp cannot express the rule",
        ),
        ("2\ndenylist\nswapon errno -1\n", "line 3: \"swapon\": libseccomp cannot express the rule"),
        ("1\nwhitelist\n1\n", r#"line 2: "whitelist": expected `allowlist`"#),
        ("1\nallowlist\n1\n\n2\n", r#"line 4: "": expected the number of a system call"#),
        ("1\nallowlist\n# one\n", r##"line 3: "# one": expected the number of a system call"##),
        ("1\nallowlist\n-1\n", "line 3: \"-1\": libseccomp cannot express the rule"),
        ("2\ndenylist\nacct\0\n", "line 3: a NUL byte"),
    ] {
        let error = compile(policy).expect_err(policy).to_string();
        assert!(error.contains(expected), "{policy:?}: {error}");
    }
}

#[test]
fn a_refusal_is_one_short_line_whatever_the_text() {
    let policy = format!("2\ndenylist\nswapon \x1b[31m\r{}\n", "é".repeat(10_000));
    let error = compile(&policy).unwrap_err().to_string();
    assert!(error.len() < 400 && !error.contains(|c: char| c.is_control()), "{error:?}");
}

#[test]
fn a_policy_beyond_the_bounds_is_refused() {
    let comment = format!("2\ndenylist\n#{}\n", "x".repeat(MAX_POLICY_BYTES));
    assert!(matches!(compile(&comment), Err(PolicyError::TooLong { bytes }) if bytes > MAX_POLICY_BYTES));

    let unknown = format!("2\ndenylist\n{}", "nothing\n".repeat(MAX_RULES));
    assert_eq!(compiled(&unknown).skipped.len(), MAX_RULES);
    let line = MAX_RULES + 3;
    let error = compile(&format!("{unknown}nothing\n")).unwrap_err();
    assert!(matches!(error, PolicyError::TooManyRules { line: at } if at == line), "{error}");
}

#[test]
fn a_filter_that_the_kernel_would_not_take_is_refused() {
    let rules: String = (0..2900).map(|n| format!("ioctl errno {} [1,{n},==]\n", n % 100)).collect();
    let error = compile(&format!("2\ndenylist\n{rules}")).unwrap_err();
    assert!(
        matches!(error, PolicyError::Length { instructions, limit: 4096 } if instructions > 4096),
        "{error}"
    );
}

#[test]
fn no_text_makes_it_panic() {
    const WORDS: &[&str] = &[
        "1",
        "2",
        "\n",
        "\n",
        "\n",
        " ",
        " ",
        "\t",
        "\r",
        "#",
        "[",
        "]",
        "[all]",
        "[x86]",
        "[arm]",
        "denylist",
        "allowlist",
        "errno",
        "kill",
        "allow",
        "trap",
        "notify",
        "reject_force_umount",
        "ioctl",
        "socket",
        "chown32",
        "-1",
        "0x",
        "0b1",
        "99999999999999999999",
        "[1,2,==]",
        "[5,0xff,&=,0xf]",
        "[0,1,<",
        ",",
        "&=",
        "==",
        "é",
        "\u{2028}",
    ];
    // Numbers from a xorshift generator: the same ones each time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..3000 {
        let start = ["", "2\n", "2\ndenylist\n", "2\nallowlist errno 1\n", "1\nallowlist\n"][next(5)];
        let text: String = (0..next(40)).map(|_| WORDS[next(WORDS.len())]).collect();
        let _ = compile(&format!("{start}{text}"));
    }
}
