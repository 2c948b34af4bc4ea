//! `provost uninstall`: takes back what setup made in PVE, and the files of the tokens that are then worth nothing. The
//! ledger, the configuration and the package stay.

use std::io::Write;

use super::{Failed, Uninstall, carry, steps};
use crate::cli::setup::pveum::Pveum;

pub fn run(verb: &Uninstall) -> Result<(), Failed> {
    let (path, config) = carry::load(&verb.node)?;
    let _alone = verb.node.alone(&path)?;
    let pveum = Pveum { program: verb.node.pveum.clone() };
    let present = pveum.look(&verb.node.user)?;
    let (steps, notes) = steps::uninstall(&verb.node.user, &present)?;
    let store = verb.node.store();
    let given =
        std::iter::once(&config.pve.token).chain(config.roles.iter().filter_map(|role| role.token.as_ref()));
    let mut files = Vec::new();
    for given in given.filter(|_| !verb.keep_files) {
        let ours = store.id(given)?.is_some_and(|id| id.starts_with(&format!("{}!", verb.node.user)));
        if ours && !files.contains(given) {
            files.push(given.clone());
        }
    }
    let mut out = anstream::stdout();
    for note in &notes {
        writeln!(out, "note  {}", crate::text::clean(note.as_bytes()))?;
    }
    if steps.is_empty() && files.is_empty() {
        writeln!(out, "PVE has nothing of setup's: nothing to do.")?;
        return Ok(());
    }
    writeln!(out, "To be taken back:")?;
    for step in &steps {
        writeln!(out, "  {}", pveum.typed(&step.words()))?;
    }
    for file in &files {
        writeln!(out, "  rm {}", store.place(file).display())?;
    }
    if verb.node.dry_run {
        writeln!(out, "Nothing was done: --dry-run.")?;
        return Ok(());
    }
    verb.node.agree("Take it back? Provost can ask PVE nothing from then on.")?;
    let half = |failed| Failed::Half { failed: Box::new(failed) };
    carry::make(&pveum, &store, &steps).map_err(half)?;
    for file in &files {
        carry::say(&format!("rm {}", store.place(file).display()))?;
        store.remove(file).map_err(half)?;
    }
    writeln!(
        out,
        "\nThe receipts stay in {}, the configuration in {}. What now?\n  apt remove provost    stops the daemon; the \
         receipts stay then too\n  provost setup         makes it all again",
        config.ledger.dir.display(),
        path.display()
    )?;
    Ok(())
}
