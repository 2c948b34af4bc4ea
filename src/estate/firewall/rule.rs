//! One rule of a firewall: `|IN SSH(ACCEPT) -i net0 -source +dc/admins -p tcp -dport 22`.

use smol_str::SmolStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    In,
    Out,
    Forward,
    /// It takes in the rules of a security group.
    Group,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// A `|` before it turns it off.
    pub enabled: bool,
    pub direction: Direction,
    /// `ACCEPT`, `DROP`, `REJECT`, or the group's name.
    pub action: SmolStr,
    /// `SSH`, `Web`: a service by name.
    pub service: Option<SmolStr>,
    pub interface: Option<SmolStr>,
    pub source: Option<SmolStr>,
    pub dest: Option<SmolStr>,
    pub protocol: Option<SmolStr>,
    pub dport: Option<SmolStr>,
    pub sport: Option<SmolStr>,
}

/// A name that a rule gives instead of an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Named {
    Alias { place: Place, name: SmolStr },
    Set { place: Place, name: SmolStr },
}

/// Where a name is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// `dc/`
    Cluster,
    /// `guest/`
    Guest,
    /// `sdn/`: the sets that PVE makes of virtual networks.
    Sdn,
    /// In the file itself, and then in the cluster's.
    Nearest,
}

impl Rule {
    /// One that names nothing, and so is about everything.
    #[must_use]
    pub fn of(enabled: bool, direction: Direction, action: SmolStr) -> Self {
        Self {
            enabled,
            direction,
            action,
            service: None,
            interface: None,
            source: None,
            dest: None,
            protocol: None,
            dport: None,
            sport: None,
        }
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        let (enabled, line) = line.strip_prefix('|').map_or((true, line), |rest| (false, rest.trim_ascii()));
        let mut words = line.split_ascii_whitespace();
        let direction = match words.next()?.to_ascii_uppercase().as_str() {
            "IN" => Direction::In,
            "OUT" => Direction::Out,
            "FORWARD" => Direction::Forward,
            "GROUP" => Direction::Group,
            _ => return None,
        };
        let word = words.next()?;
        let (service, action) = match word.strip_suffix(')').and_then(|word| word.split_once('(')) {
            Some((service, action)) => (Some(service.into()), action),
            None => (None, word),
        };
        let action =
            if direction == Direction::Group { action.to_lowercase() } else { action.to_uppercase() };
        let mut rule = Self { service, ..Self::of(enabled, direction, action.into()) };
        while let Some(flag) = words.next() {
            let value = words.next()?;
            let place = match flag.trim_start_matches('-') {
                "i" | "iface" => &mut rule.interface,
                "source" => &mut rule.source,
                "dest" => &mut rule.dest,
                "p" | "proto" => &mut rule.protocol,
                "dport" => &mut rule.dport,
                "sport" => &mut rule.sport,
                // Logging, and the like of it: nothing depends on them.
                _ => continue,
            };
            *place = Some(value.into());
        }
        Some(rule)
    }

    /// The security group that it takes in.
    #[must_use]
    pub fn group(&self) -> Option<&SmolStr> {
        (self.direction == Direction::Group).then_some(&self.action)
    }

    /// The aliases and sets that it names.
    pub fn named(&self) -> impl Iterator<Item = Named> {
        let sides = self.source.iter().chain(&self.dest);
        sides.flat_map(|side| side.split(',')).filter_map(named)
    }
}

/// An address is nobody's name; what begins with a letter and is no IPv6 address is.
pub(super) fn named(text: &str) -> Option<Named> {
    let (is_set, text) = text.strip_prefix('+').map_or((false, text), |rest| (true, rest));
    let text = text.to_lowercase();
    let places = [("dc/", Place::Cluster), ("guest/", Place::Guest), ("sdn/", Place::Sdn)];
    let found = places.iter().find_map(|(prefix, place)| Some((*place, text.strip_prefix(prefix)?)));
    let (place, name) = found.unwrap_or((Place::Nearest, &text));
    if is_set {
        return Some(Named::Set { place, name: name.into() });
    }
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    is_name.then(|| Named::Alias { place, name: name.into() })
}

impl Named {
    /// A member of a set, which may be an alias.
    #[must_use]
    pub fn of_member(member: &str) -> Option<Self> {
        named(member.trim_start_matches('!'))
    }
}
