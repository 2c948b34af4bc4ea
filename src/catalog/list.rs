//! PVE's lists, which are text: one way to take them apart for all that judge them, so that none sees fewer names than PVE.

/// The names in a list. Commas, semicolons, NULs and every kind of white space stand between them, as PVE has it.
pub fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| matches!(letter, ',' | ';' | '\0') || letter.is_whitespace())
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_pve_takes_for_a_separator_is_one() {
        for separator in
            [",", ";", " ", "\t", "\n", "\r", "\u{b}", "\u{c}", "\0", "\u{a0}", "\u{2003}", " , ; "]
        {
            let text = format!("description{separator}scsi0");
            assert_eq!(list(&text).collect::<Vec<_>>(), ["description", "scsi0"], "{separator:?}");
        }
    }
}
