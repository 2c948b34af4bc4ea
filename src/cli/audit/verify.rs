//! `provost audit verify`.

use std::io::{BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anstyle::AnsiColor;
use clap::Args;

use super::line::shown;
use super::{AuditError, DAMAGED, Done, VERIFIED, read};
use crate::ledger::crosscheck::{Checked, crosscheck};
use crate::ledger::verify::{Against, Verdict, verify};
use crate::ledger::{Place, PublicKey, witness};

#[derive(Debug, Args)]
pub struct Verify {
    /// A head that was kept elsewhere: what `provost audit checkpoint` printed
    #[arg(long, value_name = "CHECKPOINT")]
    against: Vec<PathBuf>,
    /// Directories of published heads [default: where provost-witness.timer puts them, if they are there]
    #[arg(long, value_name = "DIR")]
    witness: Vec<PathBuf>,
    /// The verifier key, kept elsewhere, instead of the one beside the log
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Compare with the journal too
    #[arg(long)]
    journal: bool,
    /// Compare with a journal that was exported: `journalctl -t provost -o json`
    #[arg(long, value_name = "FILE")]
    journal_file: Option<PathBuf>,
    /// Read the journal files of this directory (implies --journal)
    #[arg(long, value_name = "DIR")]
    journal_dir: Option<PathBuf>,
}

impl Verify {
    pub fn run(self, place: &Place) -> Done {
        let witnesses = if self.witness.is_empty() { witness::dirs() } else { self.witness.clone() };
        let key = self.key.as_ref().map(|path| {
            PublicKey::parse(&String::from_utf8_lossy(&read(path)?))
                .map_err(|source| AuditError::Note { path: path.clone(), source })
        });
        let heads = self.against.iter().map(|path| Ok((path.display().to_string(), read(path)?)));
        let against =
            Against { key: key.transpose()?, heads: heads.collect::<Result<_, AuditError>>()?, witnesses };
        let verdict = verify(place, &against)?;
        let mut out = anstream::stdout().lock();
        tell(&mut out, &verdict)?;
        let journal = self.journal(place, &verdict)?;
        let mut whole = verdict.holds();
        if let Some(checked) = journal {
            whole &= checked.differences.is_empty();
            tell_journal(&mut out, &checked)?;
        }
        let (style, word) = if whole {
            (AnsiColor::Green.on_default().bold(), "verified")
        } else {
            (AnsiColor::Red.on_default().bold(), "DAMAGED")
        };
        writeln!(out, "{style}{word}{style:#}")?;
        Ok(if whole { VERIFIED } else { DAMAGED })
    }

    fn journal(&self, place: &Place, verdict: &Verdict) -> Result<Option<Checked>, AuditError> {
        // Without it nothing is known of the log, which was said.
        let Some(log) = &verdict.key else { return Ok(None) };
        if let Some(path) = &self.journal_file {
            let file = std::fs::File::open(path)
                .map_err(|error| AuditError::Other(format!("cannot read {}: {error}", path.display())))?;
            return Ok(Some(crosscheck(place, log, BufReader::new(file))?));
        }
        if !self.journal && self.journal_dir.is_none() {
            return Ok(None);
        }
        let fields = "PROVOST_LOG,PROVOST_KEY,PROVOST_SEQ,PROVOST_HASH,PROVOST_UNMIRRORED,_UID";
        let mut journalctl = Command::new("journalctl");
        journalctl.args(["-t", "provost", "-o", "json", "--no-pager", "--quiet", "--output-fields", fields]);
        if let Some(dir) = &self.journal_dir {
            journalctl.arg("--directory").arg(dir);
        }
        let cannot = |error: std::io::Error| AuditError::Other(format!("cannot run journalctl: {error}"));
        let mut child = journalctl.stdout(Stdio::piped()).spawn().map_err(cannot)?;
        let output =
            child.stdout.take().ok_or_else(|| AuditError::Other("journalctl has no output".into()))?;
        let checked = crosscheck(place, log, BufReader::new(output))?;
        match child.wait().map_err(cannot)? {
            status if status.success() => Ok(Some(checked)),
            status => {
                Err(AuditError::Other(format!("cannot read the journal: journalctl ended with {status}")))
            }
        }
    }
}

fn tell(out: &mut impl Write, verdict: &Verdict) -> std::io::Result<()> {
    writeln!(out, "log       {}", shown(verdict.origin()))?;
    let entries = verdict.size.saturating_sub(verdict.first);
    writeln!(
        out,
        "receipts  {entries} here, {} bytes; the signed head covers {}",
        verdict.bytes, verdict.signed
    )?;
    if verdict.first > 0 {
        let last = verdict.first - 1;
        writeln!(out, "archived  0 to {last} are not here; the tree still holds their hashes")?;
    }
    if verdict.size > verdict.signed {
        writeln!(
            out,
            "unsigned  {}: newer than the last head, which comes each minute",
            verdict.size - verdict.signed
        )?;
    }
    if verdict.unhashed > 0 {
        writeln!(out, "          {} of them are not in the stored tree yet", verdict.unhashed)?;
    }
    writeln!(out, "heads     {} compared", verdict.heads)?;
    writeln!(out, "root      {}", verdict.root)?;
    let red = AnsiColor::Red.on_default();
    for damage in &verdict.damage {
        writeln!(out, "{red}damage{red:#}    {}", shown(&damage.to_string()))?;
    }
    Ok(())
}

fn tell_journal(out: &mut impl Write, checked: &Checked) -> std::io::Result<()> {
    match checked.from {
        Some(from) => writeln!(out, "journal   {} receipts are the same, from {from} on", checked.same)?,
        None => writeln!(out, "journal   has none of these receipts")?,
    }
    if checked.explained > 0 {
        writeln!(
            out,
            "          {} it lacks, as the daemon said when it did not take them",
            checked.explained
        )?;
    }
    let red = AnsiColor::Red.on_default();
    for difference in &checked.differences {
        writeln!(out, "{red}differs{red:#}   {}", shown(&difference.to_string()))?;
    }
    Ok(())
}
