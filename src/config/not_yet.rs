//! Keys that this version reads and does not act on: said by name, so that nobody takes a door for shut that is not
//! built yet.

use serde::Serialize;

use super::Config;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotYet {
    /// As the file names it.
    pub key: String,
    /// What it does now, and will do.
    pub meaning: &'static str,
}

impl Config {
    /// What the file asks for and this version does not do.
    pub fn not_yet(&self) -> Vec<NotYet> {
        // Nothing, in this version.
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    #[test]
    fn each_key_that_is_not_acted_on_is_named_once_and_no_other() {
        let text = "[listen]\nvsock=7100\nhttp='/x'\n[exec]\nhost=true\n[[role]]\nname='a'\nmembers=['vsock:3']\n\
                    guests=['pool:x','pool:y','tag:z']\ndeny=['GET /access']\napproval=['host']\ntoken='/t'";
        let keys: Vec<String> = parse(std::path::Path::new("x"), text)
            .unwrap()
            .not_yet()
            .into_iter()
            .map(|not| not.key)
            .collect();
        assert_eq!(keys, [""; 0]);
        let plain = "[exec]\nenabled=true\n[[role]]\nname='a'\nmembers=['user:x']\nguests=[100]\nrate='1/s'";
        assert!(parse(std::path::Path::new("x"), plain).unwrap().not_yet().is_empty());
    }
}
