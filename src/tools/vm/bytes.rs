//! Bytes in PVE's JSON.
//!
//! Its daemons hand what an agent gave on as Perl's strings of bytes, which JSON then writes a character a byte: `ä`, two
//! bytes in the guest, comes as the two characters U+00C3 U+00A4. What is sent to a guest goes the same way back: a
//! parameter's characters become bytes, and one beyond U+00FF is an error there. So every byte is one character here.

/// As a parameter that reaches the guest as these bytes.
pub fn to_characters(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The guest's bytes. A text with characters beyond U+00FF was decoded on its way, and is taken as it is.
pub fn from_characters(text: &str) -> Vec<u8> {
    let bytes: Result<Vec<u8>, _> =
        text.chars().map(|character| u8::try_from(u32::from(character))).collect();
    bytes.unwrap_or_else(|_| text.as_bytes().to_vec())
}

/// Words of the agent's within a message of PVE's.
pub fn message(text: &str) -> String {
    String::from_utf8(from_characters(text)).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_goes_there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(from_characters(&to_characters(&all)), all);
        assert_eq!(to_characters("ä".as_bytes()), "\u{c3}\u{a4}");
        assert_eq!(from_characters("✓"), "✓".as_bytes());
        assert_eq!(message("process \u{e2}\u{80}\u{9c}x\u{e2}\u{80}\u{9d}"), "process “x”");
        assert_eq!(message("é alone"), "é alone");
    }
}
