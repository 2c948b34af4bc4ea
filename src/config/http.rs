//! Where HTTP is served: on the node itself, and nowhere else.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;

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

#[cfg(test)]
mod tests {
    use super::*;

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
