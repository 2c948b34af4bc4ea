//! Bytes and characters as Perl has them, which PVE is written in: a string of bytes goes into JSON a character a byte, and a
//! parameter's characters become bytes where they are no more than that.

/// A string of bytes in JSON.
pub fn characters(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// A parameter as bytes; none where a character is wider.
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect()
}
