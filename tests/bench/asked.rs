//! What a bench is asked on its command line, and with what it ends.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

/// The exit code by which test runners know "skipped".
const CANNOT: u8 = 77;

/// The same for all benches, as `make bench` gives all of them the same; one that has no use for something passes it over.
pub struct Asked {
    pub rounds: usize,
    /// Only to see that everything runs.
    pub quick: bool,
    /// A missed promise is a failure.
    pub strict: bool,
    pub realtime: bool,
    pub only: Option<String>,
}

/// Why there is nothing to tell of.
pub enum Stopped {
    /// What it measures is not here.
    Cannot(String),
    Failed(io::Error),
}

impl Stopped {
    pub fn cannot(why: impl Display) -> Self {
        Self::Cannot(why.to_string())
    }
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// A bench's `main`. `rounds`: as usual, and where it is to be quick. `run` says whether every promise was kept.
pub fn bench(help: &str, rounds: [usize; 2], run: impl FnOnce(&Asked) -> Result<bool, Stopped>) -> ExitCode {
    let asked = match Asked::of(rounds) {
        Ok(Some(asked)) => asked,
        Ok(None) => {
            print!("{help}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("bench: {error}");
            return ExitCode::from(2);
        }
    };
    match run(&asked) {
        Ok(kept) if kept || !asked.strict => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(Stopped::Cannot(why)) => {
            eprintln!("bench: {why}");
            ExitCode::from(CANNOT)
        }
        Err(Stopped::Failed(error)) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Asked {
    /// None: for help.
    fn of([usual, quick]: [usize; 2]) -> Result<Option<Self>, lexopt::Error> {
        use lexopt::prelude::*;
        let mut asked = Self { rounds: usual, quick: false, strict: false, realtime: false, only: None };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("rounds") => {
                    asked.rounds = arguments.value()?.parse_with(|text| match text.parse() {
                        Ok(0) | Err(_) => Err("not a number of rounds"),
                        Ok(rounds) => Ok(rounds),
                    })?
                }
                Long("quick") => (asked.quick, asked.rounds) = (true, quick),
                Long("strict") => asked.strict = true,
                Long("realtime") => asked.realtime = true,
                Long("only") => asked.only = Some(arguments.value()?.parse()?),
                // cargo's own.
                Long("bench") => {}
                Long("help") | Short('h') => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(asked))
    }
}
