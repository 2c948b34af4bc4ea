//! PVE's property strings: `virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=7`, and its lists.

/// The parts of a property string. The one without a name stands for the format's own first key.
pub fn parts(text: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
    text.split(',').filter(|part| !part.is_empty()).map(|part| match part.split_once('=') {
        Some((name, value)) => (Some(name), value),
        None => (None, part),
    })
}

/// The value of one key.
#[must_use]
pub fn get<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    parts(text).find_map(|(name, value)| (name == Some(key)).then_some(value))
}

/// As PVE splits a list: at commas, semicolons, spaces and NUL.
pub fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ';', ' ', '\t', '\0']).filter(|item| !item.is_empty())
}

/// PVE's words for yes.
#[must_use]
pub fn is_yes(text: &str) -> bool {
    ["1", "on", "yes", "true"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A size as a disk has it, `32G` or `512` bytes, in bytes.
#[must_use]
pub fn size(text: &str) -> Option<u64> {
    let split = text.len() - usize::from(text.ends_with(|c: char| c.is_ascii_alphabetic()));
    let (number, unit) = text.split_at_checked(split)?;
    let shift = match unit {
        "" => 0,
        "K" | "k" => 10,
        "M" | "m" => 20,
        "G" | "g" => 30,
        "T" | "t" => 40,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().ok()?;
    let bytes = whole.checked_mul(1 << shift)?;
    if fraction.is_empty() {
        return Some(bytes);
    }
    // PVE writes `1.5G`; more than six digits say nothing more.
    let digits: u64 = fraction.get(..fraction.len().min(6))?.parse().ok()?;
    let scale = 10u64.pow(u32::try_from(fraction.len().min(6)).ok()?);
    bytes.checked_add(((u128::from(digits) << shift) / u128::from(scale)).try_into().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes() {
        for (text, bytes) in [
            ("0T", Some(0)),
            ("4M", Some(4 << 20)),
            ("32G", Some(32 << 30)),
            ("1.5G", Some(3 << 29)),
            ("512", Some(512)),
            ("", None),
            ("G", None),
            ("1X", None),
            ("ü", None),
            ("99999999999999T", None),
            ("-1G", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
    }

    #[test]
    fn a_property_string_gives_its_parts_and_the_one_without_a_name() {
        let text = "local:1,size=4G,,serial=a=b";
        let all: Vec<_> = parts(text).collect();
        assert_eq!(all, [(None, "local:1"), (Some("size"), "4G"), (Some("serial"), "a=b")]);
        assert_eq!(get(text, "serial"), Some("a=b"));
        assert_eq!(get(text, "local:1"), None);
        assert_eq!(list("1, 2;3  4").collect::<Vec<_>>(), ["1", "2", "3", "4"]);
    }
}
