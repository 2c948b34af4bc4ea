//! The one way to PVE for a principal: a call is judged by the role before it is made, its answer before it is seen, and
//! the role itself again in between.
//!
//! In: a checked GET. Out: a [`Permitted`], which alone can be sent; then its answer without what is none of the role's
//! business. It must never hand out an answer that it did not judge.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Reader;
use crate::catalog::scope::Row;
use crate::catalog::{Checked, Method};
use crate::policy::{Call, Denied, Sight};
use crate::pve::task::{self, Line, Outcome, State};
use crate::pve::{Answer, Envelope, PveError, Read, Upid};
use crate::tools::answer::Failure;
use crate::tools::read::incoming::{Beside, Came, Incoming};
use crate::tools::read::page::Plan;
use crate::tools::read::rows::Shows;
use crate::tools::read::scope::Judge;

/// Between two looks at the role of who follows a task.
const LOOK: Duration = Duration::from_secs(1);

/// A GET that the role may make. Only [`Reader::permit`] makes one.
#[derive(Clone)]
pub struct Permitted {
    checked: Checked,
    call: Call,
    /// Of a list that PVE gives in parts: `start` and `limit`.
    part: Vec<(&'static str, usize)>,
}

impl Permitted {
    pub fn part(self, part: Vec<(&'static str, usize)>) -> Self {
        Self { part, ..self }
    }

    fn read(&self) -> Result<Read, Failure> {
        let mut read = Read::try_from(&self.checked);
        for (name, number) in &self.part {
            read = read.and_then(|read| read.with(name, number.to_string()));
        }
        read.map_err(|error| {
            Failure::new("arguments", error.to_string(), "correct the argument and call again")
        })
    }
}

impl Reader {
    /// Whether the role has this call at all, whatever its parameters.
    pub fn may(&self, template: &str, path: &str) -> Result<(), Failure> {
        let call = Call::new(self.catalog.product(), Method::Get, template, path, []);
        self.notes.target(&call.template, call.guest());
        Ok(self.sight.verdict(&call)?)
    }

    pub fn permit(&self, checked: &Checked) -> Result<Permitted, Failure> {
        let call = Call::from(checked);
        self.notes.target(&call.template, call.guest());
        self.sight.may(&call)?;
        Ok(Permitted { checked: checked.clone(), call, part: Vec::new() })
    }

    /// The same for a path that this program knows.
    pub fn permit_path(&self, path: &str, args: &Map<String, Value>) -> Result<Permitted, Failure> {
        let internal = |said: String| Failure::new("internal", said, "report this");
        let found = self.catalog.endpoint(Method::Get, path).map_err(|error| internal(error.to_string()))?;
        let checked = found.check(args).map_err(|problems| {
            internal(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })?;
        self.permit(&checked)
    }

    /// What PVE gives, as far as the role may see it.
    pub async fn get(&self, permitted: &Permitted) -> Result<Answer, Failure> {
        let answer = self.ask(&permitted.read()?).await;
        let sight = self.unchanged()?;
        let answer = answer.map_err(|error| self.refusal(error))?;
        match sight.row(permitted.call.product, &permitted.call.template)? {
            Some(row) => judged(&sight, row, answer, &permitted.call.template),
            None => Ok(answer),
        }
    }

    /// What is wanted of what PVE gives, as far as the role may see it: a list is gone through row by row while it comes.
    pub async fn choose(&self, permitted: &Permitted, plan: &Plan<'_>) -> Result<Came, Failure> {
        let template = &permitted.call.template;
        let row = self.sight.row(self.catalog.product(), template)?;
        let sees = |guest| self.sight.includes(guest);
        let rows = row.map(|row| Rows(Judge::new(row, &sees)));
        let read = permitted.read()?;
        let wanted = plan.wanted(rows.as_ref().map(|rows| rows as &dyn Shows));
        let mut incoming = Incoming::new(wanted, self.client.room());
        let accepted = self.client().get_into(&read, &mut incoming).await;
        self.status(&accepted);
        // It is the same role still: what its rows were judged by holds.
        let sight = self.unchanged()?;
        let came = accepted.and_then(|accepted| incoming.finish(accepted));
        Ok(match (came.map_err(|error| self.refusal(error))?, row) {
            (Came::One(answer), Some(row)) => Came::One(judged(&sight, row, answer, template)?),
            (Came::List(selected, beside), Some(_)) => {
                let changes = beside.changes.map(|changes| sight.cut(changes));
                Came::List(selected, Beside { changes, ..beside })
            }
            (came, None) => came,
        })
    }

    fn status<T>(&self, answer: &Result<T, PveError>) {
        if let Some(status) = answer.as_ref().map_or_else(PveError::status, |_| Some(200)) {
            self.notes.status(status);
        }
    }

    async fn ask(&self, read: &Read) -> Result<Answer, PveError> {
        let answer = self.client().get(read).await;
        self.status(&answer);
        answer
    }

    /// Follows a task to its end. The role is judged again at each line and each second: who may no longer read of the
    /// task hears no more of it.
    pub async fn follow(&self, upid: &Upid, mut on_line: impl FnMut(Line)) -> Result<Outcome, Failure> {
        self.may_follow(upid)?;
        let heard = |line: Line| {
            if let Ok(sight) = self.now_for(upid) {
                on_line(Line { text: sight.cut(line.text), ..line });
            }
        };
        let following = task::follow(self.client(), upid, heard);
        tokio::pin!(following);
        let mut ticks = tokio::time::interval(LOOK);
        let ended = loop {
            tokio::select! {
                ended = &mut following => break ended,
                _ = ticks.tick() => self.may_follow(upid)?,
            }
        };
        let sight = self.now_for(upid)?;
        Ok(cut(&sight, ended.map_err(|error| self.refusal(error))?))
    }

    /// How a task stands now.
    pub async fn task(&self, upid: &Upid) -> Result<State, Failure> {
        self.may_follow(upid)?;
        let state = self.ask(&task::status(upid)).await.and_then(|answer| State::of(&answer));
        let sight = self.now_for(upid)?;
        Ok(match state.map_err(|error| self.refusal(error))? {
            State::Running => State::Running,
            State::Ended(outcome) => State::Ended(cut(&sight, outcome)),
        })
    }

    /// Whether the role, as it is now, may read of a task.
    pub fn may_follow(&self, upid: &Upid) -> Result<(), Failure> {
        self.notes.target(&task::endpoint(upid, "status").0, upid.id.parse().ok());
        self.now_for(upid).map(drop)
    }

    fn now_for(&self, upid: &Upid) -> Result<Sight, Failure> {
        let sight = self.policy.read(&self.principal)?;
        // By another token PVE itself may refuse it.
        if sight.token() != self.sight.token() {
            return Err(sight.changed().into());
        }
        for leaf in ["status", "log"] {
            let (template, path) = task::endpoint(upid, leaf);
            sight.may(&Call::new(self.catalog.product(), Method::Get, &template, path.as_str(), []))?;
        }
        Ok(sight)
    }

    /// The role as it is now, which must be what it was when the call was permitted.
    fn unchanged(&self) -> Result<Sight, Denied> {
        let sight = self.policy.read(&self.principal)?;
        match sight.is_as(&self.sight) {
            true => Ok(sight),
            false => Err(sight.changed()),
        }
    }

    /// PVE's words about a call may name others.
    fn refusal(&self, error: PveError) -> Failure {
        let mut failure = Failure::from(error);
        if self.sight.is_scoped() {
            failure.message = self.sight.cut(failure.message);
            for value in failure.beside.values_mut() {
                *value = self.sight.cut(value.to_string()).parse().unwrap_or(Value::Null);
            }
        }
        failure
    }
}

/// The rows of a list, each as the role may see it.
struct Rows<'a>(Judge<'a>);

impl Shows for Rows<'_> {
    fn show<'row>(&self, row: &'row str) -> Option<Cow<'row, str>> {
        // What is no JSON names nobody that could be told.
        let mut value: Value = serde_json::from_str(row).ok()?;
        self.0.shows(&mut value).then(|| Cow::Owned(value.to_string()))
    }
}

fn cut(sight: &Sight, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed { failure, message } => Outcome::Failed { failure, message: sight.cut(message) },
        done => done,
    }
}

fn judged(sight: &Sight, row: &Row, answer: Answer, template: &str) -> Result<Answer, Failure> {
    let sees = |guest| sight.includes(guest);
    let judge = Judge::new(row, &sees);
    let Envelope { data, total, changes } = answer.envelope::<&RawValue>()?;
    let unread = |error: serde_json::Error| {
        Failure::new("pve_not_json", error.to_string(), "this is for the operator")
    };
    let parsed = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).map_err(unread);
    let mut body = String::from("{\"data\":");
    if data.get().starts_with('[') {
        // A row at a time: all of them as values would be ten times their text.
        let rows: Vec<&RawValue> = serde_json::from_str(data.get()).map_err(unread)?;
        let mut between = '[';
        for raw in rows {
            let mut row = parsed(raw)?;
            if judge.shows(&mut row) {
                body.push(between);
                body.push_str(&row.to_string());
                between = ',';
            }
        }
        body.push_str(if between == '[' { "[]" } else { "]" });
    } else {
        let mut one = parsed(data)?;
        // Nothing is about nobody.
        if !one.is_null() && !judge.shows(&mut one) {
            return Err(sight.outside(template).into());
        }
        body.push_str(&one.to_string());
    }
    if let Some(total) = total {
        body.push_str(&format!(",\"total\":{total}"));
    }
    if let Some(changes) = changes {
        body.push_str(&format!(",\"changes\":{}", Value::from(sight.cut(changes))));
    }
    body.push('}');
    Ok(answer.with_body(body))
}
