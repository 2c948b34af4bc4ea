//! What a command wrote, kept head and tail within a budget: the head says what was going on, the tail how it ended.

use std::collections::VecDeque;

use ring::digest::{Context, SHA256};

use crate::ledger::tree::hex;
use crate::text::{begun, clean};

/// What ends the line that stands where something was left out.
pub const CUT: &str = " bytes cut here]";

/// A stream while it is read. Takes any amount and holds at most the budget.
pub struct Kept {
    budget: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
    hash: Context,
    ended: bool,
}

/// A stream as the answer shows it.
pub struct Shown {
    pub text: String,
    pub total: u64,
    /// Bytes left out between head and tail.
    pub cut: u64,
    /// Of all that was read, in hexadecimal; none where it was not read to its end.
    pub sha256: Option<String>,
}

impl Kept {
    pub fn new(budget: usize) -> Self {
        Self {
            budget,
            head: Vec::new(),
            tail: VecDeque::new(),
            total: 0,
            hash: Context::new(&SHA256),
            ended: false,
        }
    }

    pub fn take(&mut self, mut bytes: &[u8]) {
        self.total += bytes.len() as u64;
        self.hash.update(bytes);
        let room = (self.budget / 2).saturating_sub(self.head.len());
        if room > 0 {
            let (first, rest) = bytes.split_at(room.min(bytes.len()));
            self.head.extend_from_slice(first);
            bytes = rest;
        }
        let most = self.budget - self.budget / 2;
        let bytes = &bytes[bytes.len().saturating_sub(most)..];
        let over = (self.tail.len() + bytes.len()).saturating_sub(most);
        self.tail.drain(..over);
        self.tail.extend(bytes);
    }

    /// Nothing more comes.
    pub fn end(&mut self) {
        self.ended = true;
    }

    fn held(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// The stream as text of at most `budget` bytes, cut between lines where there are any.
    fn show(mut self, budget: usize) -> Shown {
        let hash = std::mem::replace(&mut self.hash, Context::new(&SHA256));
        let sha256 = self.ended.then(|| hex(hash.finish().as_ref()));
        Shown { sha256, ..self.cut_to(budget) }
    }

    fn cut_to(mut self, budget: usize) -> Shown {
        let tail = self.tail.make_contiguous();
        let uncut = self.total == (self.head.len() + tail.len()) as u64;
        if uncut {
            self.head.extend_from_slice(tail);
            let text = clean(&self.head);
            if text.len() <= budget {
                return Shown { text, total: self.total, cut: 0, sha256: None };
            }
            tail_of(&mut self.head, budget, self.total)
        } else {
            let tail = tail.to_vec();
            join(&self.head, &tail, budget, self.total)
        }
    }
}

fn tail_of(all: &mut [u8], budget: usize, total: u64) -> Shown {
    let middle = all.len() / 2;
    let (head, tail) = all.split_at(middle);
    join(head, tail, budget, total)
}

/// Head and tail with the count of what is missing between them.
fn join(head: &[u8], tail: &[u8], budget: usize, total: u64) -> Shown {
    let half = budget / 2;
    let (head, mut text) = fit(half, head.len(), |length| whole_lines_from_start(&head[..length]));
    let (tail, end) = fit(half, tail.len(), |length| whole_lines_to_end(&tail[tail.len() - length..]));
    let cut = total - (head.len() + tail.len()) as u64;
    text.push_str(&format!("\n[{cut}{CUT}\n"));
    text.push_str(&end);
    Shown { text, total, cut, sha256: None }
}

/// As much of one side as `most` bytes of text can show, and that text. Some bytes take more room as text than they
/// were (what is no UTF-8, three), and only how many becomes clear when they are cleaned.
fn fit<'a>(most: usize, all: usize, part: impl Fn(usize) -> &'a [u8]) -> (&'a [u8], String) {
    let mut length = all.min(most);
    loop {
        let bytes = part(length);
        let text = clean(bytes);
        if text.len() <= most {
            return (bytes, text);
        }
        // In proportion, and each time by one at least.
        length = (bytes.len() * most / text.len()).min(length - 1);
    }
}

/// Without the beginning of a line, or of a character, at the end; but for a line that is most of it.
fn whole_lines_from_start(bytes: &[u8]) -> &[u8] {
    if let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n').filter(|end| *end > bytes.len() / 2) {
        return &bytes[..=end];
    }
    &bytes[..bytes.len() - begun(bytes)]
}

/// Without the end of a line, or of a character, at the start; but for a line that is most of it.
fn whole_lines_to_end(bytes: &[u8]) -> &[u8] {
    if let Some(end) = bytes.iter().position(|byte| *byte == b'\n').filter(|end| *end < bytes.len() / 2) {
        return &bytes[end + 1..];
    }
    let continued = bytes.iter().take(3).take_while(|byte| matches!(byte, 0x80..=0xbf)).count();
    &bytes[continued..]
}

/// Both streams within one budget: each gets half, and what one does not need goes to the other.
pub fn share(stdout: Kept, stderr: Kept, budget: usize) -> (Shown, Shown) {
    let half = budget / 2;
    let out = budget - stderr.held().min(half);
    let err = budget - stdout.held().min(out);
    (stdout.show(out), stderr.show(err))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(bytes: &[u8], budget: usize, step: usize) -> Shown {
        let mut kept = Kept::new(budget);
        bytes.chunks(step).for_each(|part| kept.take(part));
        kept.show(budget)
    }

    #[test]
    fn what_fits_is_shown_whole() {
        for step in [1, 3, 100] {
            let shown = show(b"one\ntwo\nthree\n", 14, step);
            assert_eq!((shown.text.as_str(), shown.cut, shown.total), ("one\ntwo\nthree\n", 0, 14));
        }
    }

    #[test]
    fn what_does_not_fit_keeps_head_and_tail_and_counts_the_rest() {
        let lines: String = (0..1000).map(|line| format!("line {line}\n")).collect();
        for step in [1, 7, 4096, 100_000] {
            let shown = show(lines.as_bytes(), 200, step);
            assert!(
                shown.text.starts_with("line 0\n") && shown.text.ends_with("line 999\n"),
                "{}",
                shown.text
            );
            let counted = format!("[{} bytes cut here]", shown.cut);
            assert!(shown.text.contains(&counted), "{}", shown.text);
            let kept = shown.text.len() - counted.len() - 2;
            assert_eq!(kept as u64 + shown.cut, shown.total);
        }
    }

    #[test]
    fn output_that_grows_when_cleaned_still_fits_and_what_it_leaves_out_is_counted() {
        // With a budget that the bytes would fit, and one that they would not.
        for budget in [1000, 12_000] {
            let shown = show(&[0xff; 10_000], budget, 512);
            assert!(shown.text.len() <= budget + 100, "{}", shown.text.len());
            let kept = shown.text.chars().filter(|character| *character == '\u{fffd}').count() as u64;
            assert_eq!((kept + shown.cut, shown.total), (10_000, 10_000));
            assert!(kept as usize > budget / 4, "{kept}");
        }
    }

    #[test]
    fn a_cut_splits_no_character() {
        for text in
            ["größe✓日本😀".repeat(100), format!("x{}", "😀".repeat(400)), format!("{}y", "✓".repeat(400))]
        {
            for budget in 100..120 {
                let shown = show(text.as_bytes(), budget, 64);
                assert!(
                    !shown.text.contains('\u{fffd}') && shown.text.len() <= budget + 40,
                    "{}",
                    shown.text
                );
                let counted = format!("\n[{} bytes cut here]\n", shown.cut);
                assert_eq!((shown.text.len() - counted.len()) as u64 + shown.cut, shown.total);
            }
        }
    }

    #[test]
    fn streams_share_what_the_other_does_not_need() {
        let kept = |count| {
            let mut kept = Kept::new(100);
            kept.take(&vec![b'x'; count]);
            kept
        };
        for (out, err, out_cut, err_cut) in
            [(90, 10, false, false), (10, 90, false, false), (500, 0, true, false), (500, 500, true, true)]
        {
            let (stdout, stderr) = share(kept(out), kept(err), 100);
            assert_eq!((stdout.cut > 0, stderr.cut > 0), (out_cut, err_cut), "{out} {err}");
        }
    }
}
