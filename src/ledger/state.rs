//! What the daemon has to know when it starts again, signed like a head so that nobody else can say it.
//!
//! `provost-state/v1`, the size of the log, `running` or `stopped`, and the intents that had no outcome.

use super::disk::{self, DiskError};
use super::note::{NoteError, PublicKey, SecretKey};
use super::place::Place;
use super::receipt::Seq;

/// No origin looks like it: a state is never taken for a head.
const FORM: &str = "provost-state/v1";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    pub size: u64,
    /// Every entry had its place in the tree when the daemon stopped: a line behind them is not from it.
    pub stopped: bool,
    pub open: Vec<Seq>,
}

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Note(#[from] NoteError),
    #[error("is signed, and is no state")]
    Form,
}

impl State {
    /// None where there is none yet.
    pub fn read(place: &Place, key: &PublicKey) -> Result<Option<Self>, StateError> {
        let Some(bytes) = disk::read_small(&place.state())? else { return Ok(None) };
        Self::parse(&key.open(&bytes)?).map(Some).ok_or(StateError::Form)
    }

    pub fn write(&self, place: &Place, key: &SecretKey) -> Result<(), StateError> {
        Ok(disk::replace(&place.state(), &key.sign_text(&self.text())?, 0o644)?)
    }

    fn text(&self) -> String {
        let mut text =
            format!("{FORM}\n{}\n{}\n", self.size, if self.stopped { "stopped" } else { "running" });
        for seq in &self.open {
            text += &format!("{seq}\n");
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next() != Some(FORM) {
            return None;
        }
        let size = lines.next()?.parse().ok()?;
        let stopped = match lines.next()? {
            "stopped" => true,
            "running" => false,
            _ => return None,
        };
        Some(Self { size, stopped, open: lines.map(|line| line.parse().ok()).collect::<Option<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reads_back() {
        for state in [State::default(), State { size: 9, stopped: true, open: vec![3, 8] }] {
            assert_eq!(State::parse(&state.text()), Some(state));
        }
        assert_eq!(State::parse("provost/pve1\n9\nstopped\n"), None);
    }
}
