//! What is never shown, logged or recorded: values whose name says that they are secret, and texts that look like one.
//!
//! In: JSON as PVE gave it, or text. Out: the same without secrets. Names come first, by a table; patterns catch what
//! stands inside free text, as a log or a cloud-init file does. It must never be asked whether a secret is *right*.

mod argv;
#[cfg(feature = "ledger")]
mod json;
#[cfg(feature = "ledger")]
mod lines;
mod names;
#[cfg(feature = "ledger")]
mod patterns;
mod settings;

pub use argv::withhold as withhold_argv;
#[cfg(feature = "ledger")]
pub use json::{names_beside, withhold};
#[cfg(feature = "ledger")]
pub use lines::Lines;
pub use names::is_secret;
#[cfg(feature = "ledger")]
pub use names::may_be_secret;
#[cfg(test)]
pub use names::names_of_secrets;

/// What stands where a secret stood.
pub const WITHHELD: &str = "[withheld]";

/// The text without the secrets in it, by their names or by their look, and how many there were; nothing if there is
/// none, as is usual.
#[cfg(feature = "ledger")]
pub fn cut(text: &str) -> Option<(String, usize)> {
    cut_at("", text)
}

/// One look for secrets.
#[cfg(feature = "ledger")]
type Step<'a> = dyn Fn(&str) -> Option<(String, usize)> + 'a;

/// As [`cut`], of what an endpoint of the path template `path` takes or gives: some names are secret only there.
#[cfg(feature = "ledger")]
pub fn cut_at(path: &str, text: &str) -> Option<(String, usize)> {
    let steps: [&Step; 4] = [
        &|text| names::has_secret_addresses(path).then(|| patterns::cut_address(text)).flatten(),
        &patterns::cut,
        &|text| {
            let places = settings::find(path, text);
            (!places.is_empty()).then(|| (settings::without(text, &places), places.len()))
        },
        &argv::in_text,
    ];
    let mut cut = None;
    for step in steps {
        let (text, found) =
            cut.as_ref().map_or((text, 0), |(text, found): &(String, usize)| (text.as_str(), *found));
        if let Some((clean, more)) = step(text) {
            cut = Some((clean, found + more));
        }
    }
    cut
}

/// What somebody else said, as a message may repeat it: cleaned, without secrets, and of so many characters at most, with
/// how many more there are.
#[cfg(feature = "ledger")]
pub fn told(text: &str, most: usize) -> String {
    let cleaned = crate::text::clean(text.as_bytes());
    let cleaned = cleaned.trim();
    let text = cut(cleaned).map_or_else(|| cleaned.to_owned(), |(text, _)| text);
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}… [{} more characters]", &text[..end], text[end..].chars().count()),
        None => text,
    }
}

/// As [`told`], of what is said about a parameter: of a secret one, only what cannot quote its value.
#[cfg(feature = "ledger")]
pub fn told_of(parameter: &str, text: &str, most: usize) -> String {
    match may_be_secret(parameter) && !settings::is_known(text.trim()) {
        true => WITHHELD.into(),
        false => told(text, most),
    }
}

/// `text` without these values, where it quotes them. Values of a few letters stay: they are in every text.
#[cfg(feature = "ledger")]
pub fn without_values(text: &str, values: &[String]) -> String {
    const SHORTEST: usize = 4;
    let long = values.iter().filter(|value| value.len() >= SHORTEST);
    long.fold(text.to_owned(), |text, value| text.replace(value.as_str(), WITHHELD))
}

#[cfg(all(test, feature = "agent"))]
mod tests;
