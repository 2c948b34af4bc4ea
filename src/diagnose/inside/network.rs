//! Resolvers, routes and ports, as its /proc and /etc have them. Nothing is sent: the inspect lane opens no connection.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use super::super::{Gathered, Page};

/// A route of IPv4.
struct Route<'a> {
    interface: &'a str,
    to: u32,
    gateway: u32,
    mask: u32,
}

/// The lines that `grep -H` gave of a file.
fn of<'a>(section: &'a str, file: &'static str) -> impl Iterator<Item = &'a str> {
    section.lines().filter_map(move |line| line.strip_prefix(file)?.strip_prefix(':'))
}

fn routes(section: &str) -> Vec<Route<'_>> {
    let parse = |line| -> Option<Route<'_>> {
        let words: Vec<&str> = str::split_whitespace(line).collect();
        // In the byte order of the machine, which is the network's turned round.
        let hex = |at: usize| u32::from_str_radix(words.get(at)?, 16).ok().map(u32::swap_bytes);
        Some(Route { interface: words.first()?, to: hex(1)?, gateway: hex(2)?, mask: hex(7)? })
    };
    of(section, "/proc/net/route").skip(1).filter_map(parse).collect()
}

/// Other interfaces than loopback.
fn interfaces(section: &str) -> Vec<&str> {
    let after = section.lines().skip_while(|line| *line != "interfaces").skip(1);
    after.flat_map(str::split_whitespace).filter(|name| *name != "lo").collect()
}

pub fn dns(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let section = gathered.section("dns")?;
    let servers: Vec<&str> = of(section, "/etc/resolv.conf")
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter(|rest| rest.starts_with([' ', '\t']))
        .filter_map(|rest| rest.split_whitespace().next())
        .collect();
    let connected = !interfaces(section).is_empty();
    if servers.is_empty() {
        match connected {
            true => page.flag(
                "no_resolver",
                "it has no DNS server configured",
                "/etc/resolv.conf names no nameserver",
            ),
            false => page.fact("no network but loopback, and no DNS server"),
        }
        return Ok(());
    }
    page.fact(servers.join(", "));
    let (routes, mut dead) = (routes(section), Vec::new());
    for server in &servers {
        let Ok(address) = server.split('%').next().unwrap_or_default().parse::<IpAddr>() else {
            dead.push(format!("{server} is no address"));
            continue;
        };
        match address {
            _ if address.is_loopback() => {
                if !answers_here(section) {
                    dead.push(format!("nothing listens on UDP port 53 for {server}"));
                }
            }
            IpAddr::V4(address) => {
                let to = u32::from(address);
                if !routes.iter().any(|route| to & route.mask == route.to) {
                    dead.push(format!("no route leads to {server}"));
                }
            }
            IpAddr::V6(_) => {
                page.cannot_tell(format!("whether {server} can be reached: routes of IPv6 are not read"))
            }
        }
    }
    if dead.len() == servers.len() {
        page.flag("resolver_gone", "none of its DNS servers can be reached", dead.join("; "));
    } else if connected {
        page.cannot_tell("whether its DNS servers answer: the inspect lane sends nothing");
    }
    Ok(())
}

/// Whether a socket stands on port 53.
fn answers_here(section: &str) -> bool {
    ["/proc/net/udp", "/proc/net/udp6"].into_iter().flat_map(|file| of(section, file)).any(|line| {
        let local = line.split_whitespace().nth(1).unwrap_or_default();
        local.ends_with(":0035")
    })
}

pub fn gateway(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    let section = gathered.section("dns").map_err(|_| "it needs what probe dns reads".to_owned())?;
    let interfaces = interfaces(section);
    if interfaces.is_empty() {
        page.fact("no network but loopback");
        return Ok(());
    }
    let routes = routes(section);
    let Some(default) = routes.iter().find(|route| route.mask == 0 && route.gateway != 0) else {
        page.flag(
            "no_gateway",
            "it has a network, and no default route",
            format!("interfaces: {}", interfaces.join(", ")),
        );
        return Ok(());
    };
    let address = Ipv4Addr::from(default.gateway);
    page.fact(format!("{address} by {}", default.interface));
    let neighbour = of(section, "/proc/net/arp").find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words.first()? == &address.to_string()).then_some((*words.get(2)?, *words.get(3)?))
    });
    match neighbour {
        // Asked for, and nobody said it was there.
        Some((flags, _)) if flags == "0x0" => {
            page.flag(
                "gateway_silent",
                format!("its gateway {address} does not answer"),
                format!("/proc/net/arp has it with flags {flags}"),
            );
        }
        Some((_, hardware)) => page.fact(format!("known as {hardware}")),
        None => page.cannot_tell(format!(
            "whether {address} answers: it was not asked for lately, and the inspect lane sends nothing"
        )),
    }
    Ok(())
}

/// A line of /proc/net/tcp and its like.
pub struct Socket<'a> {
    pub protocol: &'static str,
    /// Address and port.
    pub local: String,
    pub inode: &'a str,
}

/// The sockets that `grep -H` gave of those files.
pub fn sockets(section: &str) -> impl Iterator<Item = Socket<'_>> {
    let of = |(file, protocol): (&'static str, &'static str)| {
        of(section, file).filter_map(move |line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            Some(Socket { protocol, local: local(words.get(1)?)?, inode: words.get(9)? })
        })
    };
    [("/proc/net/tcp", "tcp"), ("/proc/net/tcp6", "tcp"), ("/proc/net/udp", "udp"), ("/proc/net/udp6", "udp")]
        .into_iter()
        .flat_map(of)
}

/// `0100007F:0050`: each 32 bits of the address in the byte order of the machine.
fn local(text: &str) -> Option<String> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if !matches!(address.len(), 8 | 32) {
        return None;
    }
    let words = address.as_bytes().chunks(8).map(|word| {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        Some(word.swap_bytes().to_be_bytes())
    });
    let bytes: Vec<u8> = words.collect::<Option<Vec<_>>>()?.concat();
    let address: IpAddr = match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok()?.into(),
        16 => <[u8; 16]>::try_from(bytes).ok()?.into(),
        _ => return None,
    };
    Some(std::net::SocketAddr::new(address, port).to_string())
}

const MOST_PORTS: usize = 20;

/// Ports that it listens on.
fn open_ports(section: &str) -> BTreeSet<u16> {
    let port = |line: &str| {
        let local = line
            .split_whitespace()
            .find(|word| word.contains(':') && !word.ends_with(':') && !word.starts_with('/'))?;
        u16::from_str_radix(local.rsplit(':').next()?, 16).ok()
    };
    section.lines().filter_map(|line| port(line.split_once(':')?.1)).collect()
}

pub fn listening(gathered: &Gathered) -> String {
    let ports = gathered.section("ports").map(open_ports).unwrap_or_default();
    let shown: Vec<String> = ports.iter().take(MOST_PORTS).map(u16::to_string).collect();
    if shown.is_empty() { "no port".to_owned() } else { shown.join(", ") }
}

pub fn ports(gathered: &Gathered, page: &mut Page<'_>) -> Result<(), String> {
    page.fact(format!("listens on {}", listening(gathered)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_and_ports_are_read_as_the_kernel_writes_them() {
        let section = "/proc/net/route:Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n\
                       /proc/net/route:eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\n\
                       interfaces\neth0\nlo";
        let route = &routes(section)[0];
        assert_eq!(
            (route.interface, route.mask, Ipv4Addr::from(route.gateway)),
            ("eth0", 0, Ipv4Addr::new(192, 168, 2, 1))
        );
        assert_eq!(interfaces(section), ["eth0"]);
        let tcp = "/proc/net/tcp:   0: 00000000:0050 00000000:0000 0A 00000000:00000000\n\
                   /proc/net/tcp6:   1: 00000000000000000000000000000000:01BB 0:0000 0A";
        assert_eq!(local("0100007F:1F90").as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(local("00000000000000000000000001000000:0016").as_deref(), Some("[::1]:22"));
        for none in ["", ":", "0100007F", "01007F:0016", "0100007G:0016"] {
            assert_eq!(local(none), None, "{none}");
        }
        assert_eq!(open_ports(tcp).into_iter().collect::<Vec<_>>(), [80, 443]);
    }
}
