//! Where HTTP is served: on the node itself, and nowhere else.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A unix path, or an address of loopback. No other can be written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "String"))]
#[serde(try_from = "String")]
pub enum HttpPlace {
    Unix(PathBuf),
    Loopback(SocketAddr),
}

impl TryFrom<String> for HttpPlace {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        let address = match text.strip_prefix("localhost:") {
            Some(port) => port.parse().ok().map(|port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)),
            None => text.parse().ok(),
        };
        let address: SocketAddr = address.ok_or_else(|| {
            format!("'{text}' is no path such as \"/run/provost/http.sock\", nor an address such as \"127.0.0.1:7180\"")
        })?;
        if address.port() == 0 {
            return Err(format!("'{text}' names no port"));
        }
        match is_loopback(address.ip()) {
            true => Ok(Self::Loopback(address)),
            false => Err(format!(
                "'{text}' is not an address of this node alone: HTTP is served on a unix path or on loopback, and who \
                 comes from elsewhere comes through a tunnel or a reverse proxy that has a certificate (docs/http.md)"
            )),
        }
    }
}

/// Also as IPv6 has those of IPv4.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

impl fmt::Display for HttpPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Loopback(address) => address.fmt(f),
        }
    }
}

/// Names that a request may ask for. One that no request could have is refused: it would be dropped without a word.
pub fn hosts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let hosts = Vec::<String>::deserialize(deserializer)?;
    for host in &hosts {
        check_host(host).map_err(D::Error::custom)?;
    }
    Ok(hosts)
}

/// Pages that may ask, as browsers write them.
pub fn origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let origins = Vec::<String>::deserialize(deserializer)?;
    for origin in &origins {
        check_origin(origin).map_err(D::Error::custom)?;
    }
    Ok(origins)
}

fn check_host(host: &str) -> Result<(), String> {
    let wrong = |why: &str| {
        Err(format!(
            "http_hosts: '{host}' {why}; a name is expected, with a port where it is not the scheme's own, such as \"provost.example.org\""
        ))
    };
    if host.contains("://") {
        return wrong("is an address, and a request names its host alone");
    }
    if host.contains('*') {
        return wrong("is a pattern: each name is written out");
    }
    match authority(host) {
        None => wrong("is no name of a host"),
        // A client leaves it away, and a name without a port is good at each.
        Some(Some(80 | 443)) => wrong("has a port that clients leave away: write it without"),
        Some(_) => Ok(()),
    }
}

fn check_origin(origin: &str) -> Result<(), String> {
    let wrong = |why: &str| {
        Err(format!(
            "http_origins: '{origin}' {why}; an origin is expected, such as \"https://chat.example.org\""
        ))
    };
    if origin.eq_ignore_ascii_case("null") {
        return wrong("is what any page says that hides where it is from");
    }
    if origin.contains('*') {
        return wrong("is a pattern: each page is written out");
    }
    let Some((scheme, rest)) = origin.split_once("://") else {
        return wrong("has no scheme");
    };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|one| one.is_ascii_alphanumeric() || "+-.".contains(one));
    if !is_scheme {
        return wrong("has no scheme");
    }
    if rest.contains(['/', '?', '#']) {
        return wrong("has a path, and browsers send none, not even a slash at the end");
    }
    match (authority(rest), scheme.to_ascii_lowercase().as_str()) {
        (None, _) => wrong("names no host"),
        (Some(Some(443)), "https") | (Some(Some(80)), "http") => {
            wrong("has the port that browsers leave away: write it without")
        }
        _ => Ok(()),
    }
}

/// A host's name or address, and its port, where one is said. None: it is none.
fn authority(text: &str) -> Option<Option<u16>> {
    let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((address, port))) => (address.parse::<Ipv6Addr>().ok().map(|_| "v6")?, port),
        Some(None) => return None,
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    let is_name = |host: &str| {
        let is_part = |part: &str| {
            !part.is_empty() && part.chars().all(|one| one.is_ascii_alphanumeric() || "-_".contains(one))
        };
        host.strip_suffix('.').unwrap_or(host).split('.').all(is_part)
    };
    match port.strip_prefix(':') {
        _ if !is_name(host) => None,
        None => port.is_empty().then_some(None),
        Some(port) => port.parse().ok().filter(|port| *port != 0).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_request_can_say_is_no_host_and_no_origin() {
        for good in
            ["provost.example.org", "node.example.org:8443", "192.0.2.7", "[2001:db8::1]:8443", "pve_1."]
        {
            assert_eq!(check_host(good), Ok(()));
        }
        for (bad, why) in [
            ("https://x.example", "an address"),
            ("*.example.org", "a pattern"),
            ("*", "a pattern"),
            ("x.example:443", "leave away"),
            ("x.example/mcp", "no name"),
            ("x..example", "no name"),
            ("x.example:0", "no name"),
            ("[x]", "no name"),
            ("[::1]7", "no name"),
            ("a@b", "no name"),
            ("", "no name"),
        ] {
            let error = check_host(bad).unwrap_err();
            assert!(error.contains(why) && error.contains("provost.example.org"), "{bad}: {error}");
        }
        for good in [
            "https://chat.example.org",
            "http://localhost:3000",
            "HTTPS://X.example",
            "chrome-extension://abc",
        ] {
            assert_eq!(check_origin(good), Ok(()));
        }
        for (bad, why) in [
            ("null", "hides"),
            ("Null", "hides"),
            ("*", "a pattern"),
            ("https://*.example.org", "a pattern"),
            ("https://chat.example.org/", "slash"),
            ("https://chat.example.org:443", "leave away"),
            ("http://chat.example.org:80", "leave away"),
            ("chat.example.org", "no scheme"),
            ("https://", "no host"),
            ("https://a b", "no host"),
        ] {
            let error = check_origin(bad).unwrap_err();
            assert!(error.contains(why) && error.contains("https://chat.example.org"), "{bad}: {error}");
        }
    }

    #[test]
    fn only_the_node_itself_is_a_place_and_the_refusal_says_why() {
        for good in
            ["/run/provost/http.sock", "127.0.0.1:7180", "127.8.9.1:1", "[::1]:7180", "localhost:7180"]
        {
            assert!(HttpPlace::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("0.0.0.0:7180", "reverse proxy"),
            ("[::]:7180", "reverse proxy"),
            ("192.0.2.1:7180", "reverse proxy"),
            ("[::ffff:192.0.2.1]:7180", "reverse proxy"),
            ("127.0.0.1:0", "no port"),
            ("pve1:7180", "nor an address"),
            ("localhost", "nor an address"),
            ("run/http.sock", "nor an address"),
            ("7180", "nor an address"),
            ("", "nor an address"),
        ] {
            let refused = HttpPlace::try_from(bad.to_owned()).unwrap_err();
            assert!(refused.contains(why), "{bad}: {refused}");
        }
    }
}
