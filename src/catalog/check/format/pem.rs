//! PEM: blocks of base64 between two lines that say what they are.

/// At most so many blocks, and at least one, each of this label. Text before the first is passed over, as PVE does.
pub(super) fn fits(value: &str, label: Option<&str>, most: usize) -> bool {
    let Some(start) = value.find(BEGIN) else { return false };
    let mut rest = &value[start..];
    let mut blocks = 0;
    while !rest.is_empty() {
        let Some(after) = after_block(rest, label) else { return false };
        rest = after.trim_start();
        blocks += 1;
    }
    blocks <= most
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

fn after_block<'a>(text: &'a str, label: Option<&str>) -> Option<&'a str> {
    let text = after_line(text, BEGIN, label)?;
    let (body, end) = text.split_at(text.find(END)?);
    let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c) || c.is_ascii_whitespace();
    (body.ends_with('\n') && body.chars().all(base64)).then(|| after_line(end, END, label))?
}

fn after_line<'a>(text: &'a str, begin: &str, label: Option<&str>) -> Option<&'a str> {
    let (found, rest) = text.strip_prefix(begin)?.split_once("-----")?;
    (!found.contains('\n') && label.is_none_or(|label| label == found)).then_some(rest)
}
