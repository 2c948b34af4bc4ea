//! What comes of a `read`, while it comes: a list is cut into its rows, and of these those are kept that are wanted.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::cutter::{Cutter, Marks, Rest};
use super::rows::{Selected, Selection, Wanted};
use crate::pve::{
    Accepted, Answer, Envelope, Held, Overfull, PveError, Room, Sink, Text, misfit, surrogates,
};

pub struct Incoming<'a> {
    cutter: Cutter,
    selection: Selection<'a>,
    memory: Held,
}

/// What came.
pub enum Came {
    List(Selected, Beside),
    /// Something else than a list.
    One(Answer),
}

/// What stands beside `data`.
#[derive(Default)]
pub struct Beside {
    pub total: Option<u64>,
    pub changes: Option<String>,
}

impl<'a> Incoming<'a> {
    pub fn new(wanted: Wanted<'a>, room: &Room) -> Self {
        Self { cutter: Cutter::new(room), selection: Selection::new(wanted), memory: room.held() }
    }

    /// `accepted` is what the call said to which this was the sink.
    pub fn finish(self, accepted: Accepted) -> Result<Came, PveError> {
        let Self { cutter, mut selection, .. } = self;
        let no_json = |error: serde_json::Error| accepted.no_json(&misfit(&error));
        let rest = cutter.finish(&mut |row, marks| selection.row(row, marks)).map_err(no_json)?;
        match rest {
            Rest::List(behind) => {
                let beside = match behind.trim_ascii() {
                    b"}" => Beside::default(),
                    behind => {
                        let mut whole = b"{\"data\":null".to_vec();
                        whole.extend_from_slice(behind);
                        let Envelope { data: IgnoredAny, total, changes } =
                            serde_json::from_str(&surrogates::whole(&String::from_utf8_lossy(&whole)))
                                .map_err(no_json)?;
                        Beside { total, changes }
                    }
                };
                Ok(Came::List(selection.finish().map_err(no_json)?, beside))
            }
            Rest::Whole(bytes, held) => {
                let answer = accepted.answer(Text::of(bytes, held))?;
                let Envelope { data, total, changes } = answer.envelope::<&RawValue>()?;
                if !data.get().starts_with('[') {
                    return Ok(Came::One(answer));
                }
                selection.begin();
                for row in answer.data::<Vec<&RawValue>>()? {
                    selection.row(row.get(), Marks { flat: false, key: true });
                }
                let selected = selection.finish().map_err(|error| answer.no_json(&error));
                Ok(Came::List(selected?, Beside { total, changes }))
            }
        }
    }
}

impl Sink for Incoming<'_> {
    fn begin(&mut self, _announced: usize) -> Result<(), Overfull> {
        self.cutter.begin();
        self.selection.begin();
        Ok(())
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Overfull> {
        let Self { cutter, selection, memory, .. } = self;
        cutter.take(piece, &mut |row, marks| selection.row(row, marks))?;
        memory.grow_to(selection.holds())
    }
}
