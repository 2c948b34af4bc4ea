//! Where in a JavaScript the array of endpoints begins.
//!
//! Only as much of the language is known as it takes not to be fooled: comments, strings, templates and regular
//! expressions are stepped over, whatever they hold.

/// The names that the API viewer has given it: today's first.
const NAMES: [&[u8]; 2] = [b"apiSchema", b"pveapi"];

/// The place of the `[` of `apiSchema = [`.
pub(super) fn array(source: &[u8]) -> Option<usize> {
    let mut cursor = Cursor { source, at: 0, value_may_follow: true };
    // What led to the token at hand: nothing, the name, the name and its `=`.
    let mut seen = 0;
    while let Some(token) = cursor.next() {
        seen = match (seen, token) {
            (_, Token::Word(word)) if NAMES.contains(&word) => 1,
            (1, Token::Sign(b'=')) => 2,
            (2, Token::Sign(b'[')) => return Some(cursor.at - 1),
            _ => 0,
        };
    }
    None
}

enum Token<'a> {
    Word(&'a [u8]),
    Sign(u8),
    /// A string, a template or a regular expression.
    Literal,
}

struct Cursor<'a> {
    source: &'a [u8],
    at: usize,
    /// Tells the `/` of a regular expression from that of a division.
    value_may_follow: bool,
}

impl<'a> Cursor<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let rest = &self.source[self.at..];
            let token = match *rest {
                [] => return None,
                [byte, ..] if byte.is_ascii_whitespace() => {
                    self.at += 1;
                    continue;
                }
                [0xef, 0xbb, 0xbf, ..] => {
                    self.at += 3;
                    continue;
                }
                [b'/', b'/', ..] => {
                    self.skip_to(b"\n");
                    continue;
                }
                [b'/', b'*', ..] => {
                    self.at += 2;
                    self.skip_to(b"*/");
                    continue;
                }
                [quote @ (b'"' | b'\'' | b'`'), ..] => {
                    self.literal(quote);
                    Token::Literal
                }
                [b'/', ..] if self.value_may_follow => {
                    self.literal(b'/');
                    Token::Literal
                }
                [byte, ..] if is_word(byte) => {
                    let length = rest.iter().take_while(|byte| is_word(**byte)).count();
                    self.at += length;
                    Token::Word(&rest[..length])
                }
                [sign, ..] => {
                    self.at += 1;
                    Token::Sign(sign)
                }
            };
            self.value_may_follow =
                !matches!(token, Token::Word(_) | Token::Literal | Token::Sign(b')' | b']' | b'}'));
            return Some(token);
        }
    }

    /// Past the next `end`, or past everything.
    fn skip_to(&mut self, end: &[u8]) {
        let rest = &self.source[self.at..];
        self.at += rest
            .windows(end.len())
            .position(|here| here == end)
            .map_or(rest.len(), |found| found + end.len());
    }

    /// Past what `quote` begins and ends. A line ends a string or an expression too, as it ends the program.
    fn literal(&mut self, quote: u8) {
        let mut in_class = false;
        self.at += 1;
        while let Some(byte) = self.source.get(self.at) {
            self.at += 1;
            match byte {
                b'\\' => self.at = (self.at + 1).min(self.source.len()),
                b'[' if quote == b'/' => in_class = true,
                b']' if quote == b'/' => in_class = false,
                b'\n' if quote != b'`' => return,
                byte if *byte == quote && !in_class => return,
                _ => {}
            }
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}
