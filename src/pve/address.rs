//! Where a daemon listens: the `url` and `daemon` of `[pve]`, checked once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hyper::Uri;
use tokio_rustls::rustls::pki_types::ServerName;

#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error("[pve] {key} = {given:?} is no address: {why}; it looks like \"{like}\"")]
    Malformed { key: &'static str, given: String, why: &'static str, like: &'static str },
    #[error(
        "[pve] {key} = {given:?} leaves this machine in plain HTTP, and the API token with it; only a loopback address may do without https"
    )]
    Exposed { key: &'static str, given: String },
}

#[derive(Debug, Clone)]
enum Host {
    /// Tried in this order.
    Addresses(Vec<SocketAddr>),
    /// Asked of the resolver at each connection; with TLS alone.
    Name(String),
}

/// `https://127.0.0.1:8006`, taken apart.
#[derive(Debug, Clone)]
pub struct Address {
    host: Host,
    port: u16,
    /// None: plain HTTP.
    tls: Option<ServerName<'static>>,
    /// `127.0.0.1:8006`, for the Host header and for errors.
    authority: String,
}

impl Address {
    /// The `url` of `[pve]`: pveproxy. Without TLS only on loopback.
    pub fn url(given: &str) -> Result<Self, AddressError> {
        let key = "url";
        let address = Self::parse(key, given, "https://127.0.0.1:8006")?;
        if address.tls.is_none() && !address.is_loopback() {
            return Err(AddressError::Exposed { key, given: given.to_owned() });
        }
        Ok(address)
    }

    /// The `daemon` of `[pve]`: pvedaemon, on loopback alone. None when it is turned off by "".
    pub fn daemon(given: &str) -> Result<Option<Self>, AddressError> {
        if given.is_empty() {
            return Ok(None);
        }
        let key = "daemon";
        let address = Self::parse(key, given, "http://127.0.0.1:85")?;
        if !address.is_loopback() {
            return Err(AddressError::Exposed { key, given: given.to_owned() });
        }
        Ok(Some(address))
    }

    fn parse(key: &'static str, given: &str, like: &'static str) -> Result<Self, AddressError> {
        let malformed = |why| AddressError::Malformed { key, given: given.to_owned(), why, like };
        let uri: Uri = given.parse().map_err(|_| malformed("it is not a URL"))?;
        let encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(malformed("it begins with neither https:// nor http://")),
        };
        let authority = uri.authority().ok_or_else(|| malformed("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(malformed("it holds a user's name; the token has a file of its own"));
        }
        if uri.path() != "/" || uri.query().is_some() || given.contains('#') {
            return Err(malformed("a path follows the port"));
        }
        let port = authority.port_u16().ok_or_else(|| malformed("it names no port"))?;
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        let at = |ip: IpAddr| SocketAddr::new(ip, port);
        let host = match name.parse::<IpAddr>() {
            Ok(ip) => Host::Addresses(vec![at(ip)]),
            // Not asked of a resolver: what it means must not depend on a file that says otherwise.
            Err(_) if name.eq_ignore_ascii_case("localhost") => {
                Host::Addresses(vec![at(Ipv4Addr::LOCALHOST.into()), at(Ipv6Addr::LOCALHOST.into())])
            }
            Err(_) => Host::Name(name.to_owned()),
        };
        let server =
            ServerName::try_from(name.to_owned()).map_err(|_| malformed("the host's name is none"))?;
        Ok(Self { host, port, tls: encrypted.then_some(server), authority: authority.to_string() })
    }

    fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Addresses(addresses) => addresses.iter().all(|at| at.ip().to_canonical().is_loopback()),
            Host::Name(_) => false,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the resolver is asked where it is.
    pub fn is_by_name(&self) -> bool {
        matches!(self.host, Host::Name(_))
    }

    pub fn authority(&self) -> &str {
        &self.authority
    }

    pub fn tls(&self) -> Option<&ServerName<'static>> {
        self.tls.as_ref()
    }

    pub async fn connect(&self) -> std::io::Result<tokio::net::TcpStream> {
        let stream = match &self.host {
            Host::Addresses(addresses) => tokio::net::TcpStream::connect(&addresses[..]).await?,
            Host::Name(name) => tokio::net::TcpStream::connect((name.as_str(), self.port)).await?,
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_never_leaves_the_machine() {
        for given in ["http://192.0.2.1:85", "http://pve2:85", "http://[2001:db8::1]:85", "http://0.0.0.0:85"]
        {
            assert!(matches!(Address::daemon(given), Err(AddressError::Exposed { .. })), "{given}");
            assert!(matches!(Address::url(given), Err(AddressError::Exposed { .. })), "{given}");
        }
        // pvedaemon is on loopback; whatever else says it is, is not it.
        assert!(Address::daemon("https://192.0.2.1:85").is_err());
        assert!(
            Address::url("https://192.0.2.1:8006").is_ok()
                && Address::url("https://pve2.example:8006").is_ok()
        );
    }

    #[test]
    fn loopback_has_many_names() {
        for given in [
            "http://127.0.0.1:85",
            "http://127.1.2.3:8500",
            "http://[::1]:85",
            "http://localhost:85",
            "http://LOCALHOST:85/",
        ] {
            assert!(Address::daemon(given).unwrap().is_some(), "{given}");
            assert!(Address::url(given).is_ok(), "{given}");
        }
        assert!(Address::daemon("").unwrap().is_none());
    }

    #[test]
    fn what_is_no_address_is_refused_with_one_that_is() {
        for given in [
            "127.0.0.1:8006",
            "https://127.0.0.1",
            "https://127.0.0.1:8006/api2/json",
            "ftp://127.0.0.1:21",
            "https://",
            "https://root:x@127.0.0.1:8006",
            "https://127.0.0.1:8006?x",
            "https://127.0.0.1:8006#x",
            "",
            "/run/x.sock",
        ] {
            let error = Address::url(given).expect_err(given).to_string();
            assert!(error.contains("https://127.0.0.1:8006\""), "{error}");
        }
    }
}
