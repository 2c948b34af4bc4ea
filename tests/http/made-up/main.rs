//! The made-up server that the official MCP conformance runner talks to, behind Provost's own HTTP door.
//!
//! Most of the runner's scenarios are about tools, prompts and resources of fixed names, and some about what Provost has no use
//! for: log messages, sampling, subscriptions. Here they are, so that each scenario goes over our transport. All else is the
//! daemon's: it starts, listens, gives up its rights and asks for tokens as `provostd` does, with the same configuration. In no
//! package.

#![allow(deprecated, reason = "the runner asks for what the protocol is about to drop, too")]
#![allow(clippy::disallowed_methods, reason = "nothing here leaves a receipt")]

mod rounds;
mod said;
mod server;
mod tasks;

use std::error::Error;
use std::sync::Arc;

use provost::ledger::{Ledger, Options};
use provost::policy::Rules;
use provost::tools::Provost;
use provost::{config, sandbox, serve};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use self::server::MadeUp;

fn main() -> Result<(), Box<dyn Error>> {
    provost::journal::init("made-up-server");
    let path = config::path(None);
    if std::env::args().nth(1).as_deref() == Some(sandbox::reader::ARGUMENT) {
        return Ok(sandbox::reader::run(&path)?);
    }
    let rules = Rules::of(path.clone())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let config = rules.now();
        let listening = serve::listen(&config.listen)?;
        let confined = sandbox::confine(listening.needs(&config)?, &path)?;
        let ledger = Ledger::open(Options::of(&config.ledger))?;
        let provost = Arc::new(Provost::new(rules, ledger.clone())?);
        let (stop, mut term) = (CancellationToken::new(), signal(SignalKind::terminate())?);
        let stopper = stop.clone();
        tokio::spawn(async move {
            term.recv().await;
            stopper.cancel();
        });
        listening.serve::<MadeUp>(provost.clone(), stop, &confined).await;
        provost.close().await;
        ledger.close();
        Ok(())
    })
}
