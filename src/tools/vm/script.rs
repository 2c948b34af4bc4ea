//! A script of this program's own in a Linux guest, run to its end.
//!
//! Its text is fixed; what a caller says goes in as arguments of it, which no shell reads as words of its own.

use std::time::{Duration, Instant};

use super::agent::{Agent, Ended, Proof};
use super::system::{Manner, linux};
use crate::tools::answer::Failure;

/// Between two looks at whether a process has ended: at first, and at most. What is short costs little, what is long asks
/// seldom.
const FIRST: Duration = Duration::from_millis(4);
pub const SELDOM: Duration = Duration::from_millis(500);

/// Bytes of each stream: of what a script of ours says, a directory's listing is the longest. A guest can say more, which is
/// left out.
const MOST: usize = 8 << 20;

/// The pauses between looks, one after another.
pub fn pauses() -> impl Iterator<Item = Duration> {
    std::iter::successors(Some(FIRST), |pause| Some((*pause * 2).min(SELDOM)))
}

/// Runs it as the agent's root.
pub async fn run(
    agent: &Agent,
    text: &str,
    arguments: &[&str],
    input: Option<&[u8]>,
    patience: Duration,
    proof: Proof<'_>,
) -> Result<Ended, Failure> {
    let words = ["/bin/sh", "-c", text, "sh"].into_iter().chain(arguments.iter().copied());
    let argv: Vec<String> = words.map(str::to_owned).collect();
    let pid = agent.exec(&linux(&Manner::default(), &argv)?, input, proof).await?;
    let until = Instant::now() + patience;
    for pause in pauses() {
        tokio::time::sleep(pause).await;
        if let Some(ended) = agent.ended(pid, MOST).await? {
            return Ok(ended);
        }
        if Instant::now() >= until {
            break;
        }
    }
    let message = format!("process {pid} in the VM did not end in {} s", patience.as_secs());
    Err(Failure::new("timeout", message, "see the guest's load and its file systems"))
}
