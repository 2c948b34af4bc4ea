//! `provost uninstall`: takes back what setup made in PVE, and the files of the tokens that are then worth nothing. The
//! ledger, the configuration and the package stay.

use std::collections::BTreeMap;
use std::io::Write;

use super::work::files;
use super::{Failed, Uninstall, carry, half, steps, units};
use crate::cli::setup::pveum::Pveum;

pub fn run(verb: &Uninstall) -> Result<(), Failed> {
    let (path, config) = carry::load(&verb.node)?;
    let _alone = verb.node.alone(&path)?;
    let pveum = Pveum { program: verb.node.pveum.clone() };
    let present = pveum.look()?;
    let store = verb.node.store(&path);
    let mut kept = BTreeMap::new();
    for given in files(&config) {
        kept.insert(given.to_owned(), store.kept(given)?);
    }
    let names = verb.node.names(&config, &kept, &present);
    let held: Vec<String> = kept.values().filter_map(|kept| kept.id.clone()).collect();
    let (steps, mut notes) = steps::uninstall(&names, &held, &present)?;
    let mut given = Vec::new();
    for (file, kept) in kept.into_iter().filter(|_| !verb.keep_files) {
        let sealed = kept.broken.is_some() && store.sealed.has(&file);
        match kept.id.is_some_and(|id| id.starts_with(&names.before_token())) || sealed {
            true => given.push(file),
            false if kept.broken.is_some() => notes.push(format!(
                "{} cannot be decrypted on this host, and setup did not seal it, so it stays: the unit does not start with it",
                store.place(&file).display()
            )),
            false => {}
        }
    }
    let drop_in = verb.node.drop_in().filter(|_| !verb.keep_files);
    let mut out = anstream::stdout();
    for note in &notes {
        writeln!(out, "note  {}", crate::text::clean(note.as_bytes()))?;
    }
    if steps.is_empty() && given.is_empty() && drop_in.is_none() {
        writeln!(out, "PVE has nothing of setup's: nothing to do.")?;
        return Ok(());
    }
    writeln!(out, "To be taken back:")?;
    for step in &steps {
        writeln!(out, "  {}", pveum.typed(&step.words()))?;
    }
    let places = given.iter().map(|given| store.place(given));
    for file in places.chain(drop_in.clone()) {
        writeln!(out, "  rm {}", file.display())?;
    }
    if verb.node.dry_run {
        writeln!(out, "Nothing was done: --dry-run.")?;
        return Ok(());
    }
    verb.node.agree("Take it back? Provost can ask PVE nothing from then on.")?;
    let mut made = 0;
    let done = (|| {
        carry::make(&pveum, &store, &steps, &mut made)?;
        for file in &given {
            carry::say(&format!("rm {}", store.place(file).display()))?;
            store.remove(file)?;
            made += 1;
        }
        if let Some(path) = &drop_in {
            units::remove_drop_in(path)?;
            made += 1;
            verb.node.systemctl(&["daemon-reload"])?;
        }
        Ok(())
    })();
    done.map_err(|failed| half(made, failed))?;
    writeln!(
        out,
        "\nThe receipts stay in {}, the configuration in {}. What now?\n  apt remove provost    stops the daemon; the \
         receipts stay then too\n  provost setup         makes it all again",
        config.ledger.dir.display(),
        path.display()
    )?;
    Ok(())
}
