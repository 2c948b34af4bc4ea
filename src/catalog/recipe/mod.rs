//! Recipes: how the common jobs are done with the API, as a table; and by commands in a guest, as another ([`commands`]).
//!
//! In: `recipes.txt`. Out: steps that a reader fills in. A recipe is advice: what it says is planned and judged like
//! any other call.

pub mod commands;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use crate::product::Product;

use super::Method;

#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    pub title: &'static str,
    /// Other words for it.
    pub phrasings: Vec<&'static str>,
    pub steps: Vec<Step>,
    pub notes: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub method: Method,
    /// With its parameters in braces; `{kind}` stands for `lxc` or `qemu`.
    pub path: &'static str,
    /// Names and values; what is in capitals is to be filled in.
    pub arguments: Vec<(&'static str, &'static str)>,
    /// Empty where the call says it all.
    pub why: &'static str,
    /// The job itself; the others prepare or check.
    pub main: bool,
}

const TEXT: &str = include_str!("recipes.txt");
const BACKUP: &str = include_str!("recipes-backup.txt");

static RECIPES: LazyLock<Vec<Recipe>> = LazyLock::new(|| read(TEXT));

pub fn all() -> &'static [Recipe] {
    &RECIPES
}

static RECIPES_OF_BACKUP: LazyLock<Vec<Recipe>> = LazyLock::new(|| read(BACKUP));

/// The recipes of a product; a Mail Gateway and a Datacenter Manager have none.
pub fn all_of(product: Product) -> &'static [Recipe] {
    match product {
        Product::Pve => all(),
        Product::Backup => &RECIPES_OF_BACKUP,
        Product::Mail | Product::Datacenter => &[],
    }
}

impl Step {
    /// Whether this is that call, of either kind of guest.
    #[must_use]
    pub fn is(&self, method: Method, path: &str) -> bool {
        let mut given = path.split('/');
        let fits = |segment: &str| match given.next() {
            Some(given) => segment == given || segment == "{kind}" && matches!(given, "lxc" | "qemu"),
            None => false,
        };
        self.method == method && self.path.split('/').all(fits) && given.next().is_none()
    }
}

fn read(text: &'static str) -> Vec<Recipe> {
    let mut recipes: Vec<Recipe> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(title) = line.strip_prefix("= ") {
            recipes.push(Recipe { title, phrasings: Vec::new(), steps: Vec::new(), notes: Vec::new() });
            continue;
        }
        let Some(recipe) = recipes.last_mut() else { continue };
        match line.split_once(' ') {
            Some(("?", phrasing)) => recipe.phrasings.push(phrasing),
            Some(("-", note)) => recipe.notes.push(note),
            _ => recipe.steps.extend(step(line)),
        }
    }
    recipes
}

fn step(line: &'static str) -> Option<Step> {
    let (main, line) = line.strip_prefix("* ").map_or((false, line), |line| (true, line));
    let [call, arguments, why]: [&str; 3] = line.split(" |").collect::<Vec<_>>().try_into().ok()?;
    let (method, path) = call.split_once(' ')?;
    let arguments =
        arguments.split_whitespace().map(|argument| argument.split_once('=')).collect::<Option<_>>()?;
    Some(Step { method: Method::from_name(method)?, path, arguments, why: why.trim(), main })
}
