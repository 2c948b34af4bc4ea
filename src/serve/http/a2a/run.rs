//! A task carried out: the call, the person who has to say yes, the call again, the end.
//!
//! It belongs to no request: who hangs up finds it again by its id. It ends with its token.

use std::sync::Arc;

use ::a2a::TaskState;

use super::task::{Now, Task};
use super::verdict::{Ended, Waits, followed};
use super::wish::Wish;
use crate::serve::http::callers::Caller;
use crate::serve::http::one::{One, Said};

/// How often `apply` may find that one more yes is needed, as when the session has read more than it had.
const MOST_ROUNDS: usize = 8;

pub fn start(caller: Arc<Caller>, task: Arc<Task>, wish: Wish, agent: String) {
    tokio::spawn(async move {
        let stop = task.stop.clone();
        // Whatever becomes of this, nobody waits for it for good.
        let _ending = Ending(task.clone());
        tokio::select! {
            () = carry(&caller, &task, followed(wish), &agent) => {}
            () = stop.cancelled() => { task.cancel(); }
        }
    });
}

struct Ending(Arc<Task>);

impl Drop for Ending {
    fn drop(&mut self) {
        let ended =
            Ended::failure("internal", "the part of this program that was at work on it ended early", "");
        self.0.stand(ended.end());
    }
}

async fn carry(caller: &Caller, task: &Task, wish: Wish, agent: &str) {
    for _ in 0..MOST_ROUNDS {
        let ended = match call(caller, task, &wish, agent).await {
            Ok(ended) => ended,
            Err(busy) => Ended::failure("busy", &busy, "send it again"),
        };
        let Some(waits) = ended.waits(&wish) else { return end(caller, task, ended.end()) };
        if wish.tool != "apply" {
            return plan(caller, task, waits, ended).await;
        }
        task.stand(waits.stand(None));
        caller.policy().approvals.settled(&waits.plan).await;
        // Whatever was said, the call says what comes of it.
        task.stand(Now::new(TaskState::Working));
    }
    end(caller, task, Ended::failure("needs_approval", "one more yes is needed again and again", "").end());
}

/// Its answer is there; how it ends is for a person to say.
async fn plan(caller: &Caller, task: &Task, waits: Waits, ended: Ended) {
    caller.tasks.weigh(task, ended.content.to_string().len());
    task.stand(waits.stand(Some(&ended.content)));
    let standing = caller.policy().approvals.settled(&waits.plan).await;
    task.stand(waits.end(standing, ended.content));
}

async fn call(caller: &Caller, task: &Task, wish: &Wish, agent: &str) -> Result<Ended, String> {
    let session = caller.session()?;
    let begun = One::begin(session, agent, &wish.tool, wish.arguments.clone(), task.stop.child_token());
    let mut one = begun.ok_or("this is no call of a tool")?;
    while let Some(said) = one.next().await {
        if let Said::Progress { percent, message } = &said {
            let line = if *percent >= 1.0 { format!("{percent:.0} %: {message}") } else { message.clone() };
            task.stand(Now::new(TaskState::Working).saying(line));
        }
        if let Some(ended) = Ended::of(said) {
            return Ok(ended);
        }
    }
    Err("the call ended without an answer".into())
}

fn end(caller: &Caller, task: &Task, now: Now) {
    caller.tasks.weigh(task, now.answer.as_ref().map_or(0, |answer| answer.to_string().len()));
    task.stand(now);
}
