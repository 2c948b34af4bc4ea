//! The pages, and what of them is code, a link or a heading.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

pub struct Page {
    /// From the repository's root on.
    pub name: String,
    pub path: PathBuf,
    text: String,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page at the root and under docs/, and those that lie beside what they are about.
pub fn all() -> Vec<Page> {
    let folders = ["", "docs", "selinux", "tests/lab", "tests/vm"].map(|folder| root().join(folder));
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let paths = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "md"));
    let mut pages: Vec<Page> = paths.map(|path| Page::read(&path)).collect();
    pages.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(pages.len() > 8, "only {} pages were found", pages.len());
    pages
}

static SPAN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"`([^`\n]+)`").unwrap());
static LINK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\]\(([^) ]+)\)").unwrap());

impl Page {
    pub fn read(path: &Path) -> Self {
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.strip_prefix(root()).unwrap_or(path).display().to_string();
        Self { name, path: path.to_owned(), text }
    }

    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap()
    }

    /// The text without its fenced blocks.
    pub fn prose(&self) -> String {
        let parts = self.text.split("```").enumerate();
        parts.filter(|(at, _)| at % 2 == 0).map(|(_, part)| part).collect()
    }

    /// Fenced blocks of a language.
    pub fn blocks(&self, language: &str) -> Vec<String> {
        let parts = self.text.split("```").enumerate().filter(|(at, _)| at % 2 == 1);
        parts.filter_map(|(_, part)| part.strip_prefix(&format!("{language}\n")).map(str::to_owned)).collect()
    }

    /// What somebody types in the blocks that show it.
    pub fn console(&self) -> Vec<String> {
        let typed = |block: String| {
            let lines = block.lines().filter(|line| line.starts_with(['$', '#'])).map(str::to_owned);
            lines.collect::<Vec<_>>()
        };
        self.blocks("console").into_iter().flat_map(typed).collect()
    }

    pub fn spans(&self) -> Vec<String> {
        SPAN.captures_iter(&self.prose()).map(|found| found[1].to_owned()).collect()
    }

    pub fn links(&self) -> Vec<String> {
        LINK.captures_iter(&self.prose()).map(|found| found[1].to_owned()).collect()
    }

    /// Headings, as a link names them.
    pub fn anchors(&self) -> BTreeSet<String> {
        let prose = self.prose();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        let kept = |c: &char| c.is_alphanumeric() || [' ', '-', '_'].contains(c);
        let anchor = |line: &str| {
            let plain = line.trim_start_matches('#').trim().to_lowercase();
            plain.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
        };
        headings.map(anchor).collect()
    }
}
