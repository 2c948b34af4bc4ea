//! From where may be asked, and by which name: what keeps a web page that a person happens to look at from asking in their
//! place (cross-origin), by whatever name its server gives this node (DNS rebinding).

use std::net::IpAddr;

use hyper::header::{HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::http::uri::{Authority, Uri};

use super::answer::{Answer, refuse};
use crate::config::{HttpPlace, Listen, is_loopback};

/// Names that are this node's own everywhere.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

pub struct Allowed {
    hosts: Vec<(String, Option<u16>)>,
    origins: Vec<String>,
    /// Where it is served, beside the well-known addresses of loopback: another of 127.0.0.0/8, or one as IPv6 has it.
    bound: Option<IpAddr>,
}

impl Allowed {
    pub fn of(config: &Listen) -> Self {
        let given = config.http_hosts.iter().filter_map(|host| {
            let authority = Authority::try_from(host.as_str()).ok()?;
            Some((name(authority.host()), authority.port_u16()))
        });
        let hosts = LOOPBACK.iter().map(|host| ((*host).to_owned(), None)).chain(given).collect();
        let origins = config.http_origins.iter().map(|origin| origin.to_ascii_lowercase()).collect();
        let bound = match config.http {
            Some(HttpPlace::Loopback(address)) => Some(address.ip()),
            _ => None,
        };
        Self { hosts, origins, bound }
    }

    /// Whether it was asked for by a name of this node's, once, and from nowhere else than it may be: then the origin, where a
    /// browser says one.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<Option<HeaderValue>, Box<Answer>> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host,
            _ => return Err(Box::new(refuse(400, "host", "one Host header is needed", ""))),
        };
        let asked = host.to_str().ok().and_then(|host| Authority::try_from(host).ok());
        // An absolute URL names a host too, and is believed before the header.
        let known = |authority: &Authority| {
            let (host, port) = (name(authority.host()), authority.port_u16());
            let is_bound = self.bound.is_some_and(|bound| host.parse() == Ok(bound));
            is_bound
                || self.hosts.iter().any(|(good, at)| *good == host && at.is_none_or(|at| port == Some(at)))
        };
        let is_known = asked.as_ref().is_some_and(known) && uri.authority().is_none_or(known);
        if !is_known {
            return Err(Box::new(refuse(
                403,
                "host_not_allowed",
                "this node is not asked by that name",
                "the operator can add it to [listen] http_hosts in provost.toml",
            )));
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        let origin = match (origins.next(), origins.next()) {
            (None, _) => return Ok(None),
            (Some(origin), None) => origin,
            _ => return Err(Box::new(refuse(400, "origin", "there is more than one Origin header", ""))),
        };
        let said = origin.to_str().map(str::to_ascii_lowercase).unwrap_or_default();
        // A page of this very place, by a name that was looked at above, is no other origin: of loopback in the clear, of any
        // other name by the reverse proxy in front, which has the certificate.
        let scheme = match asked.as_ref().is_some_and(|asked| is_loopback_name(asked.host())) {
            true => "http://",
            false => "https://",
        };
        let is_own = said
            .strip_prefix(scheme)
            .is_some_and(|place| host.to_str().is_ok_and(|host| host.eq_ignore_ascii_case(place)));
        match is_own || self.origins.contains(&said) {
            true => Ok(Some(origin.clone())),
            false => Err(Box::new(refuse(
                403,
                "origin_not_allowed",
                "web pages of that origin may not ask",
                "the operator can add it to [listen] http_origins in provost.toml",
            ))),
        }
    }
}

/// Whether it is such a name.
pub fn is_loopback_name(host: &str) -> bool {
    let host = name(host);
    LOOPBACK.contains(&host.as_str()) || host.parse().is_ok_and(is_loopback)
}

fn name(host: &str) -> String {
    host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(hosts: &[&str], origin: Option<&str>) -> Result<(), u16> {
        let config = Listen {
            http_hosts: vec!["provost.example.org".into(), "node.example.org:8443".into()],
            http_origins: vec!["https://chat.example.org".into()],
            ..Listen::default()
        };
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, host.parse().unwrap());
        }
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        let checked = Allowed::of(&config).check(&Uri::from_static("/mcp"), &headers);
        checked.map(drop).map_err(|answer| answer.status().as_u16())
    }

    #[test]
    fn only_names_of_this_node_are_answered_to() {
        for host in [
            "localhost",
            "localhost:7180",
            "LOCALHOST",
            "localhost.",
            "127.0.0.1:7180",
            "[::1]:7180",
            "provost.example.org",
            "provost.example.org:443",
            "node.example.org:8443",
        ] {
            assert_eq!(asked(&[host], None), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "evil.example:7180",
            "node.example.org",
            "127.0.0.1.nip.io",
            "provost.example.org@evil.example",
            "",
            "a b",
            "0.0.0.0:7180",
        ] {
            assert_eq!(asked(&[host], None), Err(403), "{host}");
        }
        assert_eq!(asked(&[], None), Err(400));
        assert_eq!(asked(&["localhost", "evil.example"], None), Err(400));
        let headers = HeaderMap::from_iter([(HOST, "localhost".parse().unwrap())]);
        let absolute = Uri::from_static("http://evil.example/mcp");
        assert!(Allowed::of(&Listen::default()).check(&absolute, &headers).is_err());
    }

    #[test]
    fn where_it_is_served_is_a_name_of_this_node() {
        for (place, host) in [
            ("127.0.0.5:7189", "127.0.0.5:7189"),
            ("[::ffff:127.0.0.1]:7187", "[::ffff:127.0.0.1]:7187"),
            ("[::ffff:127.0.0.1]:7187", "[::ffff:7f00:1]:7187"),
        ] {
            let place = HttpPlace::try_from(place.to_owned()).unwrap();
            let allowed = Allowed::of(&Listen { http: Some(place), ..Listen::default() });
            let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
            assert!(allowed.check(&Uri::from_static("/mcp"), &headers).is_ok(), "{host}");
            assert!(is_loopback_name(host.rsplit_once(':').unwrap().0));
            let other = HeaderMap::from_iter([(HOST, "127.0.0.6:7189".parse().unwrap())]);
            assert!(allowed.check(&Uri::from_static("/mcp"), &other).is_err());
        }
        assert_eq!(asked(&["127.0.0.5:7189"], None), Err(403), "it is not served there");
    }

    #[test]
    fn a_web_page_asks_only_where_the_operator_named_it() {
        assert_eq!(asked(&["localhost"], Some("https://chat.example.org")), Ok(()));
        for (host, own, other) in [
            ("localhost:7180", "http://localhost:7180", "https://localhost:7180"),
            ("[::1]:7180", "http://[::1]:7180", "https://[::1]:7180"),
            ("provost.example.org", "https://provost.example.org", "http://provost.example.org"),
        ] {
            assert_eq!(asked(&[host], Some(own)), Ok(()), "its own");
            assert_eq!(asked(&[host], Some(other)), Err(403), "{other}: the scheme is part of an origin");
        }
        assert_eq!(
            asked(&["evil.example"], Some("https://evil.example")),
            Err(403),
            "its own, by no name of ours"
        );
        for origin in [
            "https://evil.example",
            "http://chat.example.org",
            "https://chat.example.org:8443",
            "null",
            "http://localhost:3000",
            "https://chat.example.org.evil.example",
            "",
        ] {
            assert_eq!(asked(&["localhost"], Some(origin)), Err(403), "{origin}");
        }
    }
}
