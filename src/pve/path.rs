//! Where something is in the API: a path of which each part was checked, and is encoded.

use std::fmt;

use percent_encoding::percent_decode_str;

use super::call::{CallError, SHOWN};
use crate::http::encoded;

/// The longest path, encoded; PVE's own are below 200 bytes.
const LONGEST_PATH: usize = 2048;

/// A path below the API's root, encoded: `/nodes/pve1/tasks/UPID%3Apve1%3A…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path(String);

impl Path {
    /// Of plain segments, each encoded whole: a volume id's `/` or a UPID's `:` stays inside its segment.
    pub fn of<S: AsRef<str>>(segments: impl IntoIterator<Item = S>) -> Result<Self, CallError> {
        let mut path = String::new();
        for segment in segments {
            let segment = segment.as_ref();
            check_segment(segment)
                .map_err(|why| CallError::Segment { segment: crate::text::brief(segment, SHOWN), why })?;
            path.push('/');
            path.extend(encoded(segment));
        }
        if path.is_empty() {
            path.push('/');
        }
        Self::within_length(path)
    }

    /// Of one text that is encoded already. An encoded `/`, `?` or `#` is refused here: only [`Path::of`] knows which
    /// segment one may belong to.
    pub fn parse(text: &str) -> Result<Self, CallError> {
        let refused = |why| CallError::Path { path: crate::text::brief(text, SHOWN), why };
        let Some(rest) = text.strip_prefix('/') else { return Err(refused("it does not begin with '/'")) };
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&byte)) {
            return Err(refused("a character in it would have to be percent-encoded"));
        }
        if rest.is_empty() {
            return Ok(Self("/".to_owned()));
        }
        for segment in rest.split('/') {
            let well_encoded = segment.split('%').skip(1).all(|after| {
                after.len() >= 2 && after.as_bytes()[..2].iter().all(|digit| digit.is_ascii_hexdigit())
            });
            if !well_encoded {
                return Err(refused("a '%' in it is not followed by two hex digits"));
            }
            let plain = percent_decode_str(segment)
                .decode_utf8()
                .map_err(|_| refused("what is encoded in it is not UTF-8"))?;
            if plain.contains(['/', '?', '#', '%', '\\']) {
                return Err(refused("an encoded '/', '?', '#', '%' or '\\' stands in it"));
            }
            check_segment(&plain).map_err(refused)?;
        }
        Self::within_length(text.to_owned())
    }

    fn within_length(path: String) -> Result<Self, CallError> {
        if path.len() > LONGEST_PATH {
            return Err(CallError::Path {
                path: crate::text::brief(&path, SHOWN),
                why: "it is longer than 2048 bytes",
            });
        }
        Ok(Self(path))
    }

    /// The path one segment shorter; None at the root.
    pub fn parent(&self) -> Option<Self> {
        let (parent, _) = self.0.rsplit_once('/')?;
        (self.0.len() > 1).then(|| Self(if parent.is_empty() { "/" } else { parent }.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The `NODE` of `/nodes/NODE/…`, as it stands there.
    pub(super) fn node(&self) -> Option<&str> {
        self.0.strip_prefix("/nodes/")?.split('/').next()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

fn check_segment(plain: &str) -> Result<(), &'static str> {
    if plain.is_empty() {
        return Err("a part of it is empty");
    }
    if plain.split(['/', '\\']).any(|part| part == "." || part == "..") {
        return Err("a part of it is '.' or '..'");
    }
    if plain.chars().any(char::is_control) {
        return Err("a control character stands in it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_could_change_the_request_line_is_a_path() {
        for text in [
            "",
            "nodes",
            "//nodes",
            "/nodes/",
            "/nodes//x",
            "/nodes/..",
            "/nodes/../access",
            "/nodes/%2e%2e/access",
            "/nodes/.%2E",
            "/./nodes",
            "/nodes/a%2fb",
            "/nodes/a%2Fb",
            "/a%00",
            "/a\0",
            "/a\r\nHost: x",
            "/a%0d%0aHost",
            "/a b",
            "/a?b=c",
            "/a%3fb=c",
            "/a#b",
            "/a%23b",
            "/a%",
            "/a%4",
            "/a%zz",
            "/a%ff",
            "/a%252e",
            "/größe",
            "/a\\b",
            "/a%5cb",
            "/a\u{7f}",
            "/a\"b",
            "/a<b>",
            "https://elsewhere/",
            "*",
        ] {
            assert!(Path::parse(text).is_err(), "{text:?}");
        }
        assert!(Path::parse(&format!("/{}", "a".repeat(LONGEST_PATH))).is_err());
        for text in
            ["/", "/version", "/nodes/pve1/lxc/101/config", "/access/users/root@pam", "/a/agent%40pve/x"]
        {
            assert_eq!(Path::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_segment_is_encoded_whole() {
        let upid = "UPID:pve1:00002578:00074193:6B012E72:qmcreate:110:root@pam!t1:";
        assert_eq!(
            Path::of(["nodes", "pve1", "tasks", upid, "log"]).unwrap().as_str(),
            "/nodes/pve1/tasks/UPID%3Apve1%3A00002578%3A00074193%3A6B012E72%3Aqmcreate%3A110%3Aroot%40pam%21t1%3A/log"
        );
        assert_eq!(Path::of(["local:iso/x y.iso"]).unwrap().as_str(), "/local%3Aiso%2Fx%20y.iso");
        for segment in ["", "..", ".", "local:iso/../../etc", "a\0", "a\nb"] {
            assert!(Path::of(["nodes", segment]).is_err(), "{segment:?}");
        }
    }
}
