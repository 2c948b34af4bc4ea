//! What a tool's answer means for its task.
//!
//! | answer | state |
//! | --- | --- |
//! | done | completed |
//! | a plan that needs a person's yes, or one that `apply` found without | input-required |
//! | policy, or a person, says no | rejected |
//! | given up | canceled |
//! | anything else | failed |
//!
//! The answer is the task's artifact, an error too: as it is by every other door.

use std::sync::Arc;

use ::a2a::TaskState;
use serde_json::{Value, json};

use super::task::Now;
use super::wish::Wish;
use crate::policy::approval::Standing;
use crate::serve::http::one::Said;
use crate::serve::http::tools::status;

/// How a call ended.
pub struct Ended {
    failed: bool,
    pub content: Value,
}

/// A plan that waits for a person.
#[derive(Debug, PartialEq)]
pub struct Waits {
    pub plan: String,
    about: Value,
    said: String,
}

impl Ended {
    /// None: it is only on its way.
    pub fn of(said: Said) -> Option<Self> {
        match said {
            Said::Progress { .. } => None,
            Said::Result(mut result) => {
                let failed = result["isError"] == true;
                let content = match result["structuredContent"].take() {
                    Value::Null => json!({}),
                    content => content,
                };
                Some(Self { failed, content })
            }
            Said::Error(error) => {
                let kind = error["data"]["kind"].as_str().unwrap_or("arguments");
                let mut told = json!({ "kind": kind, "message": error["message"] });
                if let Some(next) = error["data"]["next"].as_str().filter(|next| !next.is_empty()) {
                    told["next"] = next.into();
                }
                Some(Self { failed: true, content: json!({ "error": told }) })
            }
        }
    }

    /// As tools fail.
    pub fn failure(kind: &str, message: &str, next: &str) -> Self {
        let content = json!({ "error": { "kind": kind, "message": message, "next": next } });
        Self { failed: true, content }
    }

    /// The plan by which it goes on once a person has said yes.
    pub fn waits(&self, wish: &Wish) -> Option<Waits> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if self.failed {
            let error = &self.content["error"];
            if wish.tool != "apply" || error["kind"] != "needs_approval" {
                return None;
            }
            let plan = wish.arguments.get("plan_id")?.as_str()?.trim().to_owned();
            let mut about = json!({ "plan_id": plan });
            for name in ["because", "by", "expires"] {
                about[name] = self.content[name].clone();
            }
            let said = format!("{}; {}", text(&error["message"]), text(&error["next"]));
            return Some(Waits { plan, about, said });
        }
        let approval = self.content["needs"].get("approval")?;
        let plan = self.content["plan_id"].as_str()?.to_owned();
        let mut about = json!({ "plan_id": plan, "expires": self.content["expires"] });
        for name in ["because", "by"] {
            about[name] = approval[name].clone();
        }
        let said = format!(
            "nothing is changed: plan {plan} waits for a person's yes, until {}, by {}; on the node: provost approve {plan}",
            text(&self.content["expires"]),
            text(&approval["by"]),
        );
        Some(Waits { plan, about, said })
    }

    /// How its task ends.
    pub fn end(self) -> Now {
        let error = &self.content["error"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        if !self.failed {
            // What `apply` says of a change that is not simply done.
            let said = self.content["message"].as_str().map(str::to_owned);
            let now = Now { said, ..Now::new(TaskState::Completed) };
            return now.answering(self.content);
        }
        let kind = text(&error["kind"]);
        let state = match status(&kind) {
            _ if kind == "cancelled" => TaskState::Canceled,
            403 => TaskState::Rejected,
            _ => TaskState::Failed,
        };
        let said = match text(&error["next"]) {
            next if next.is_empty() => text(&error["message"]),
            next => format!("{}; {next}", text(&error["message"])),
        };
        Now::new(state).saying(said).answering(self.content)
    }
}

impl Waits {
    /// How the task stands meanwhile; with the plan, where it is the answer.
    pub fn stand(&self, content: Option<&Value>) -> Now {
        let mut about = self.about.clone();
        if let Some(about) = about.as_object_mut() {
            about.retain(|_, value| !value.is_null());
        }
        let now = Now::new(TaskState::InputRequired).saying(&self.said);
        let answer = content.cloned().map(Arc::new);
        Now { about: Some(Arc::new(about)), answer, ..now }
    }

    /// How the task of a plan ends, once nobody's yes to it is waited for any more.
    pub fn end(&self, standing: Option<Standing>, content: Value) -> Now {
        let plan = &self.plan;
        let (state, said) = match standing {
            Some(Standing::Decided(decision)) if decision.yes => {
                (TaskState::Completed, format!("{} said yes: apply plan {plan} (skill apply)", decision.by))
            }
            Some(Standing::Used(_)) => {
                (TaskState::Completed, format!("plan {plan} was approved and applied"))
            }
            Some(Standing::Decided(decision)) => {
                (TaskState::Rejected, format!("{} said no to plan {plan}", decision.by))
            }
            Some(Standing::Withdrawn { .. }) => (TaskState::Canceled, withdrawn(plan)),
            _ => (TaskState::Failed, format!("nobody said yes to plan {plan} in time; plan it again")),
        };
        Now::new(state).saying(said).answering(content)
    }
}

/// Of a plan that its asker has taken back.
pub fn withdrawn(plan: &str) -> String {
    format!("cancelled: plan {plan} is withdrawn, and nobody can approve it any more")
}

/// `apply` is followed to the change's end, unless the client says for how long: it holds no connection open.
pub fn followed(mut wish: Wish) -> Wish {
    const TO_ITS_END_S: u64 = 24 * 3600;
    if wish.tool == "apply" {
        wish.arguments.entry("wait").or_insert(TO_ITS_END_S.into());
    }
    wish
}

/// Whether a call of this tool may be made twice without doing anything twice.
pub fn only_reads(tool: &str) -> bool {
    let tools = crate::tools::tools();
    let hints = tools.iter().find(|known| known.name == tool).and_then(|known| known.annotations.clone());
    hints.is_none_or(|hints| hints.read_only_hint == Some(true))
}

/// Whether a call of this tool is a question, in which nothing is that should not be kept: a plan has a change's arguments, which
/// may be passwords.
pub fn only_asks(tool: &str) -> bool {
    ["audit", "diagnose", "file_get", "find", "read", "status"].contains(&tool)
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    fn ended(failed: bool, content: Value) -> Ended {
        Ended { failed, content }
    }

    fn wish(tool: &str) -> Wish {
        let arguments = Map::from_iter([("plan_id".to_owned(), "ab".into())]);
        Wish { tool: tool.into(), arguments }
    }

    #[test]
    fn each_answer_is_one_state() {
        for (kind, state) in [
            ("denied_to_role", TaskState::Rejected),
            ("needs_approval", TaskState::Rejected),
            ("denied_by_person", TaskState::Rejected),
            ("halted", TaskState::Failed),
            ("no_such_tool", TaskState::Failed),
            ("arguments", TaskState::Failed),
            ("pve", TaskState::Failed),
            ("cancelled", TaskState::Canceled),
        ] {
            let now = Ended::failure(kind, "no", "do").end();
            assert_eq!((now.state, now.said.as_deref()), (state, Some("no; do")), "{kind}");
            assert_eq!(now.answer.unwrap()["error"]["kind"], kind);
        }
        assert_eq!(ended(false, json!({})).end().state, TaskState::Completed);
    }

    #[test]
    fn a_plan_that_needs_a_yes_waits_and_an_apply_without_one_too_and_nothing_else() {
        let plan = json!({ "plan_id": "ab", "expires": "then", "needs": { "approval": { "because": ["x"], "by": "bob" } } });
        let waits = ended(false, plan.clone()).waits(&wish("plan")).unwrap();
        let now = waits.stand(Some(&plan));
        assert_eq!((waits.plan.as_str(), &now.state), ("ab", &TaskState::InputRequired));
        assert_eq!(now.about.unwrap()["by"], "bob");
        assert!(now.said.unwrap().contains("provost approve ab"));
        let free = json!({ "plan_id": "ab", "needs": "nothing" });
        assert_eq!(ended(false, free).waits(&wish("plan")), None);
        let held = Ended::failure("needs_approval", "it waits", "ask");
        assert_eq!(held.waits(&wish("apply")).unwrap().plan, "ab");
        // A read that a role does not have without a yes, for which there is no plan.
        assert_eq!(held.waits(&wish("read")), None);
        assert_eq!(Ended::failure("no_such_plan", "", "").waits(&wish("apply")), None);
    }

    #[test]
    fn apply_is_followed_to_its_end_unless_its_caller_says_otherwise() {
        assert_eq!(followed(wish("apply")).arguments["wait"], 86400);
        let mut short = wish("apply");
        short.arguments.insert("wait".into(), 0.into());
        assert_eq!(followed(short).arguments["wait"], 0);
        assert!(only_reads("read") && only_reads("plan") && !only_reads("apply") && !only_reads("file_put"));
    }
}
