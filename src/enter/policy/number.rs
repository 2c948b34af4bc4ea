//! Numbers as C reads them, since LXC reads a policy with `scanf` and `strtoull`: leading space is skipped, a
//! sign may come, what follows the digits is somebody else's. Unlike there, a number that does not fit is
//! none.

/// What C's `isspace` takes for white space.
pub(super) const SPACE: [char; 6] = [' ', '\t', '\n', '\x0b', '\x0c', '\r'];

/// The decimal number that `text` starts with (`%d`), and what follows it.
pub(super) fn decimal(text: &str) -> Option<(i32, &str)> {
    scan(text, |digits| (10, digits))
}

/// The number that `text` starts with, in the base that its prefix tells (`%i`), and what follows it.
pub(super) fn prefixed(text: &str) -> Option<(i32, &str)> {
    scan(text, base)
}

/// All of `text` as an unsigned number in the base that its prefix tells. A minus sign is not taken.
pub(super) fn unsigned(text: &str) -> Option<u64> {
    let text = text.trim_start_matches(SPACE);
    let (radix, digits) = base(text.strip_prefix('+').unwrap_or(text));
    match leading(digits, radix)? {
        (value, "") => Some(value),
        _ => None,
    }
}

fn scan(text: &str, base: fn(&str) -> (u32, &str)) -> Option<(i32, &str)> {
    let text = text.trim_start_matches(SPACE);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = base(digits);
    let (magnitude, rest) = leading(digits, radix)?;
    let value = i64::try_from(magnitude).ok()?;
    Some((i32::try_from(if negative { -value } else { value }).ok()?, rest))
}

/// The base that a C prefix tells, and the digits after it. A prefix without a digit after it is the number
/// 0 and something else. (`0b` is C23's: the C library of LXC 6's Debian takes it, that of LXC 5's does not.)
fn base(text: &str) -> (u32, &str) {
    for (radix, prefixes) in [(16, ["0x", "0X"]), (2, ["0b", "0B"])] {
        let digits = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
        if let Some(digits) = digits.filter(|digits| digits.starts_with(|c: char| c.is_digit(radix))) {
            return (radix, digits);
        }
    }
    (if text.starts_with('0') { 8 } else { 10 }, text)
}

fn leading(text: &str, radix: u32) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_digit(radix)).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((u64::from_str_radix(digits, radix).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, value) in [
            ("0", Some(0)),
            ("38", Some(38)),
            (" \t38", Some(38)),
            ("+7", Some(7)),
            ("0x9400", Some(0x9400)),
            ("0XfF", Some(255)),
            ("017", Some(15)),
            ("0b101", Some(5)),
            ("18446744073709551615", Some(u64::MAX)),
            ("0xffffffffffffffff", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", None),
            ("+-1", None),
            ("0x", None),
            ("08", None),
            ("", None),
            (" ", None),
            ("38 ", None),
            ("1e3", None),
            ("٣", None),
        ] {
            assert_eq!(unsigned(text), value, "{text:?}");
        }
    }

    #[test]
    fn what_follows_a_number_is_handed_back() {
        assert_eq!(decimal("1 # EPERM"), Some((1, " # EPERM")));
        assert_eq!(decimal(" -103\n"), Some((-103, "\n")));
        assert_eq!(decimal("0x10"), Some((0, "x10")));
        assert_eq!(decimal("2147483648"), None);
        assert_eq!(decimal("99999999999999999999999"), None);
        assert_eq!(decimal("EPERM"), None);
        assert_eq!(prefixed("0x2,5"), Some((2, ",5")));
        assert_eq!(prefixed("08,5"), Some((0, "8,5")));
        assert_eq!(prefixed(",5"), None);
    }
}
