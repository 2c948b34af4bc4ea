//! `provost man` and `provost completions`: what the command line says of itself, for `man` and for shells.
//!
//! What clap knows it writes; what it cannot know (files, signals, the configuration) is in `pages/`. The configuration's page
//! is made of the types that read it (`config::reference`).

use std::io::{self, Write};
use std::path::Path;

use clap::{Arg, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Daemon, Provost};

const CONFIGURATION: &str = include_str!("pages/provost.toml.5");
const DAEMON: &str = include_str!("pages/provostd.8");
const EXECD: &str = include_str!("pages/provost-execd.8");

/// Writes the pages into a directory: `provost.1` and one for each verb, `provostd.8`, `provost-execd.8`, and
/// `provost.toml.5`.
pub fn man(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    // The verbs' pages are in the section that the program's is in.
    clap_mangen::generate_to(Provost::command(), directory)?;
    for (daemon, more) in [(Daemon::command(), DAEMON), (execd(), EXECD)] {
        let page = Man::new(daemon).section("8");
        let mut to = std::fs::File::create(directory.join(page.get_filename()))?;
        page.render_title(&mut to)?;
        page.render_name_section(&mut to)?;
        page.render_synopsis_section(&mut to)?;
        page.render_description_section(&mut to)?;
        page.render_options_section(&mut to)?;
        to.write_all(more.as_bytes())?;
    }
    let page = CONFIGURATION.replace("@VERSION@", env!("CARGO_PKG_VERSION"));
    std::fs::write(directory.join("provost.toml.5"), page)
}

pub fn completions(shell: Shell, to: &mut dyn io::Write) {
    clap_complete::generate(shell, &mut Provost::command(), "provost", to);
}

/// What `provost-execd --help` says. It reads its own arguments, with less than clap.
fn execd() -> Command {
    let config =
        "The configuration, root's alone to write [default: $PROVOST_CONFIG, else /etc/provost/provost.toml]";
    Command::new("provost-execd")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Enters the containers that [exec] containers lists, for provostd")
        .long_about(
            "Enters the containers that [exec] containers lists, for provostd; and, where [exec] host is on, has systemd run \
             on the node itself what a person approved, and reads and replaces files under [exec] host_roots. It is started \
             by systemd (provost-execd.socket), or by hand as root.",
        )
        .arg(Arg::new("config").long("config").value_name("FILE").help(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_that_is_named_somewhere_is_written() {
        let dir = tempfile::tempdir().unwrap();
        man(dir.path()).unwrap();
        for (page, says) in [
            ("provost.1", "bridge"),
            ("provost-bridge.1", "\\-\\-socket"),
            ("provost-client-config.1", "\\-\\-host"),
            #[cfg(feature = "agent")]
            ("provost-setup.1", "\\-\\-dry\\-run"),
            #[cfg(feature = "agent")]
            ("provost-token-rotate.1", "\\-\\-offline"),
            #[cfg(feature = "agent")]
            ("provost-uninstall.1", "\\-\\-keep\\-files"),
            ("provost-halt.1", "\\-\\-why"),
            ("provost-approve.1", "\\-\\-yes"),
            ("provost-plans.1", "\\-\\-json"),
            ("provostd.8", "\\-\\-check"),
            ("provostd.8", ".SH FILES"),
            ("provost-execd.8", "\\-\\-config"),
            ("provost-execd.8", ".SH BOUNDARIES"),
            ("provost.toml.5", ".SH [[role]]"),
        ] {
            let text = std::fs::read_to_string(dir.path().join(page)).expect(page);
            assert!(text.contains(says) && text.contains(".TH"), "{page}: {text}");
        }
        for unit in ["provost", "provost-execd", "provost-announce"] {
            let unit =
                std::fs::read_to_string(format!("{}/systemd/{unit}.service", env!("CARGO_MANIFEST_DIR")))
                    .unwrap();
            let page = unit.lines().find_map(|line| line.strip_prefix("Documentation=man:")).expect("a page");
            let page = page.trim_end_matches(')').replace('(', ".");
            assert!(dir.path().join(&page).exists(), "{page}");
        }
    }

    #[test]
    fn shells_complete_the_verbs() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            completions(shell, &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("bridge") && script.contains("socket"), "{script}");
        }
    }
}
