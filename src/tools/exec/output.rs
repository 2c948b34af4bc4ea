//! What a command wrote, kept head and tail within a budget: the head says what was going on, the tail how it ended.

use std::collections::VecDeque;

use crate::text::clean;

/// A stream while it is read. Takes any amount and holds at most the budget.
pub struct Kept {
    budget: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

/// A stream as the answer shows it.
pub struct Shown {
    pub text: String,
    pub total: u64,
    /// Bytes left out between head and tail.
    pub cut: u64,
}

impl Kept {
    pub fn new(budget: usize) -> Self {
        Self { budget, head: Vec::new(), tail: VecDeque::new(), total: 0 }
    }

    pub fn take(&mut self, mut bytes: &[u8]) {
        self.total += bytes.len() as u64;
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

    fn held(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// The stream as text of at most `budget` bytes, cut between lines where there are any.
    fn show(mut self, budget: usize) -> Shown {
        let tail = self.tail.make_contiguous();
        let uncut = self.total == (self.head.len() + tail.len()) as u64;
        if uncut {
            self.head.extend_from_slice(tail);
            let text = clean(&self.head);
            if text.len() <= budget {
                return Shown { text, total: self.total, cut: 0 };
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
    let mut head = &head[..head.len().min(half)];
    let mut tail = &tail[tail.len().saturating_sub(half)..];
    // Whole lines, unless one line is most of it.
    if let Some(end) = head.iter().rposition(|byte| *byte == b'\n').filter(|end| *end > head.len() / 2) {
        head = &head[..=end];
    }
    if let Some(start) = tail.iter().position(|byte| *byte == b'\n').filter(|start| *start < tail.len() / 2) {
        tail = &tail[start + 1..];
    }
    let cut = total - (head.len() + tail.len()) as u64;
    let (mut shown, end) = (fit(clean(head), half), clean(tail));
    shown.push_str(&format!("\n[{cut} bytes cut here]\n"));
    let skip =
        (0..=end.len()).find(|at| end.len() - at <= half && end.is_char_boundary(*at)).unwrap_or(end.len());
    shown.push_str(&end[skip..]);
    Shown { text: shown, total, cut }
}

fn fit(mut text: String, most: usize) -> String {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(end);
    text
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
    fn output_that_grows_when_cleaned_still_fits() {
        let shown = show(&[0xff; 10_000], 1000, 512);
        assert!(shown.text.len() < 1100, "{}", shown.text.len());
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
