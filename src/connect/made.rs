//! Which host made what: a plan is applied where it was made, and a receipt is taken back where it was left.
//!
//! The first to show a plan's id has it. Another that shows the same has read it somewhere, and lies. Each host has room of its
//! own: one that makes up plans pushes out no other's.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::answer::Said;
use super::places::Place;

/// Of each, of a host; the oldest is forgotten first.
const MOST: usize = 512;
const LONGEST_ID: usize = 64;
/// Tools whose receipts can be taken back.
const CHANGES: &[&str] = &["apply", "file_put"];
/// In a tool's place, where an answer comes as a task's result: that it is of a change, only its outcome says.
pub const TASK: &str = "task";

#[derive(Default)]
pub struct Made(Mutex<Shown>);

/// By plan, and by receipt.
type Shown = (Kept<String>, Kept<(Place, u64)>);

#[derive(Default)]
struct Kept<K> {
    of: HashMap<K, Place>,
    order: HashMap<Place, VecDeque<K>>,
}

impl<K: Clone + Eq + std::hash::Hash> Kept<K> {
    fn put(&mut self, key: K, place: Place) -> Place {
        if let Some(known) = self.of.get(&key) {
            return *known;
        }
        let order = self.order.entry(place).or_default();
        if order.len() >= MOST
            && let Some(oldest) = order.pop_front()
        {
            self.of.remove(&oldest);
        }
        order.push_back(key.clone());
        self.of.insert(key, place);
        place
    }
}

impl Made {
    /// Takes down what an answer shows. The other host, where it shows another's plan.
    pub fn note(&self, tool: &str, place: Place, said: &Said) -> Result<(), Place> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (plans, receipts) = &mut *made;
        let own = said.object.get("plan_id").into_iter();
        let pending = said.object.get("pending").and_then(Value::as_array).into_iter().flatten();
        let ids = own.chain(pending.filter_map(|plan| plan.get("plan_id"))).filter_map(Value::as_str);
        for id in ids.filter(|id| id.len() <= LONGEST_ID) {
            let of = plans.put(written(id), place);
            if of != place {
                return Err(of);
            }
        }
        let is_change = CHANGES.contains(&tool) || tool == TASK && said.object.contains_key("outcome");
        // A change has two: of what was to be done, and of what came of it.
        let numbers = ["receipt", "outcome"].into_iter().filter_map(|key| said.object.get(key)?.as_u64());
        for number in numbers.filter(|_| is_change) {
            receipts.put((place, number), place);
        }
        Ok(())
    }

    pub fn plan(&self, id: &str) -> Option<Place> {
        let made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.0.of.get(&written(id)).copied()
    }

    /// The host that left a receipt of this number for a change of this session's, where it is one alone.
    pub fn receipt(&self, number: u64) -> Option<Place> {
        let made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut places = made.1.of.iter().filter(|((_, known), _)| *known == number).map(|(_, place)| *place);
        places.next().filter(|_| places.next().is_none())
    }
}

/// An id, however it was written: what is shown and what is asked for are one.
fn written(id: &str) -> String {
    id.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(value: Value) -> Said {
        Said { object: value.as_object().unwrap().clone(), is_error: false }
    }

    #[test]
    fn a_plan_is_the_hosts_that_showed_it_first() {
        let made = Made::default();
        assert_eq!(made.note("plan", 1, &said(json!({ "plan_id": "aB12" }))), Ok(()));
        for same in ["ab12", " AB12\n"] {
            assert_eq!(made.note("plan", 2, &said(json!({ "plan_id": same }))), Err(1));
        }
        assert_eq!(made.note("status", 2, &said(json!({ "pending": [{ "plan_id": "Ab12" }] }))), Err(1));
        assert_eq!(made.note("status", 2, &said(json!({ "pending": [{ "plan_id": "cd" }] }))), Ok(()));
        assert_eq!((made.plan("AB12 "), made.plan("cd"), made.plan("ef")), (Some(1), Some(2), None));
    }

    #[test]
    fn a_receipts_number_says_whose_it_is_where_one_host_alone_gave_it() {
        let made = Made::default();
        let receipt = |tool, place, number| {
            made.note(tool, place, &said(json!({ "receipt": number }))).unwrap();
        };
        receipt("apply", 1, 7);
        receipt("exec", 2, 7);
        assert_eq!(made.receipt(7), Some(1));
        receipt("file_put", 2, 7);
        assert_eq!((made.receipt(7), made.receipt(8)), (None, None));
    }

    #[test]
    fn what_came_of_a_change_has_a_number_of_its_own_which_says_the_same() {
        let made = Made::default();
        let note = |tool, place, value| made.note(tool, place, &said(value)).unwrap();
        note("apply", 1, json!({ "receipt": 7, "outcome": 9 }));
        // Of a call that looked, and of a change that ended when nobody waited for it.
        note(TASK, 2, json!({ "receipt": 8 }));
        note(TASK, 2, json!({ "receipt": 10, "outcome": 11 }));
        let of = [7, 9, 8, 10, 11].map(|number| made.receipt(number));
        assert_eq!(of, [Some(1), Some(1), None, Some(2), Some(2)]);
        // One host's outcome is another's receipt.
        note("apply", 2, json!({ "receipt": 9, "outcome": 12 }));
        assert_eq!((made.receipt(9), made.receipt(12)), (None, Some(2)));
    }

    #[test]
    fn no_more_is_kept_than_has_a_bound() {
        let made = Made::default();
        made.note("plan", 1, &said(json!({ "plan_id": "another's" }))).unwrap();
        for number in 0..MOST + 10 {
            made.note("plan", 0, &said(json!({ "plan_id": number.to_string() }))).unwrap();
        }
        assert_eq!(made.plan("9"), None);
        assert_eq!((made.plan("10"), made.plan("another's")), (Some(0), Some(1)));
    }
}
