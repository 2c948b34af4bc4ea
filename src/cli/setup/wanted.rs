//! What there should be in PVE for the roles of a configuration: one user, a role for each kind of right, a token for each
//! file, and who holds what where.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Failed;
use super::names::Names;
use crate::catalog::Catalog;
use crate::config::{Config, GuestTerm, Profile, Role};
use crate::estate::Index;
use crate::policy::rights::{Place, Rights};

/// Guests that may be named one by one: an entry of PVE's access list each.
const MOST_GUESTS: usize = 512;

/// Path → roles held there.
pub type Grants = BTreeMap<String, BTreeSet<String>>;

#[derive(Debug, Default)]
pub struct Wanted {
    pub names: Names,
    /// By the names that they have in PVE.
    pub roles: BTreeMap<String, BTreeSet<String>>,
    /// The user's, of which no token can have more.
    pub grants: Grants,
    pub tokens: Vec<Token>,
    /// What an operator should know of it.
    pub notes: Vec<String>,
}

#[derive(Debug)]
pub struct Token {
    /// As the configuration names it.
    pub given: PathBuf,
    /// What its ids begin with.
    pub base: String,
    /// The comment by which it is known again.
    pub mark: String,
    pub grants: Grants,
}

/// `known`: the privileges that the installed release has.
pub fn wanted(
    names: Names,
    config: &Config,
    catalog: &Catalog,
    known: &BTreeSet<String>,
    estate: &Index,
) -> Result<Wanted, Failed> {
    let mut wanted = Wanted { names, ..Wanted::default() };
    let looking = wanted.role("observe", Rights::to_look(catalog).all(), known);
    let mut shared: Vec<Grant> = vec![("/".to_owned(), looking)];
    let mut own: BTreeMap<&Path, (Vec<&str>, Vec<Grant>)> = BTreeMap::new();
    for role in &config.roles {
        let grants = wanted.of_role(role, catalog, known, estate)?;
        match role.token.as_deref().filter(|token| *token != config.pve.token) {
            None => shared.extend(grants),
            Some(file) => {
                let (names, all) = own.entry(file).or_default();
                names.push(&role.name);
                all.extend(grants);
            }
        }
        if role.profile == Profile::Full && role.guests.is_none() {
            wanted.notes.push(format!(
                "role \"{}\" has profile full: with Permissions.Modify its token can give itself any other right, so PVE \
                 is no floor under it. Its approvals hold; deny = [\"PUT /access/acl\"] takes that right away",
                role.name
            ));
        }
    }
    let mut all = shared.clone();
    wanted.tokens.push(Token {
        given: config.pve.token.clone(),
        base: "provost".to_owned(),
        mark: wanted.names.mark("[pve] token"),
        grants: closed(&shared),
    });
    for (file, (names, grants)) in own {
        wanted.tokens.push(Token {
            given: file.to_owned(),
            base: format!("role-{}", plain(names[0])),
            mark: wanted.names.mark(&format!("role {}", plain(&names.join(",")))),
            grants: closed(&grants),
        });
        all.extend(grants);
    }
    wanted.grants = closed(&all);
    Ok(wanted)
}

/// A path, and the role that is held there.
pub type Grant = (String, String);

impl Wanted {
    fn of_role(
        &mut self,
        role: &Role,
        catalog: &Catalog,
        known: &BTreeSet<String>,
        estate: &Index,
    ) -> Result<Vec<Grant>, Failed> {
        let rights = Rights::of(role, catalog);
        let plainly = role.allow.is_none() && role.deny.is_empty();
        let Some(terms) = &role.guests else {
            let name =
                if plainly { role.profile.name().to_owned() } else { format!("role.{}", plain(&role.name)) };
            let name = self.role(&name, rights.all(), known);
            return Ok(vec![("/".to_owned(), name)]);
        };
        let name = format!("role.{}", plain(&role.name));
        let elsewhere = self.role(&name, rights.at(Place::Elsewhere).map(str::to_owned).collect(), known);
        let guests = self.role(
            &format!("{name}.guests"),
            rights.at(Place::Guests).map(str::to_owned).collect(),
            known,
        );
        let mut grants = vec![("/".to_owned(), elsewhere)];
        let paths = self.paths(role, terms, estate)?;
        grants.extend(paths.into_iter().map(|path| (path, guests.clone())));
        Ok(grants)
    }

    /// Where a role's guests stand in PVE's tree.
    fn paths(
        &mut self,
        role: &Role,
        terms: &[GuestTerm],
        estate: &Index,
    ) -> Result<BTreeSet<String>, Failed> {
        let mut paths = BTreeSet::new();
        for term in terms {
            match term {
                // PVE's access list has no path for a lower id.
                GuestTerm::Ids(ids) => {
                    let ids = (*ids.start()).max(100)..=*ids.end();
                    paths.extend(ids.take(MOST_GUESTS + 1).map(|vmid| format!("/vms/{vmid}")));
                }
                GuestTerm::Pool(name) => {
                    paths.insert(format!("/pool/{name}"));
                }
                GuestTerm::Tag(tag) => {
                    let tagged = estate.guests().filter(|guest| guest.has_tag(tag));
                    let tagged: Vec<String> = tagged.map(|guest| format!("/vms/{}", guest.vmid)).collect();
                    self.notes.push(format!(
                        "role \"{}\": PVE knows no rights by tag, so its token is given the {} guests that have \"{tag}\" \
                         now; run setup again when others get it",
                        role.name,
                        tagged.len()
                    ));
                    paths.extend(tagged);
                }
            }
            if paths.len() > MOST_GUESTS {
                return Err(Failed::Wrong(format!(
                    "role \"{}\" names more than {MOST_GUESTS} guests one by one, each of which would be an entry of \
                     PVE's access list; name a pool in its place: guests = [\"pool:NAME\"]",
                    role.name
                )));
            }
        }
        Ok(paths)
    }

    /// Its name in PVE. Privileges that the release does not have are left out, and said.
    fn role(&mut self, name: &str, privileges: BTreeSet<String>, known: &BTreeSet<String>) -> String {
        let name = self.names.role(name);
        let (held, missing): (BTreeSet<_>, BTreeSet<_>) =
            privileges.into_iter().partition(|privilege| known.contains(privilege));
        if !missing.is_empty() && !self.roles.contains_key(&name) {
            let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
            self.notes.push(format!("this PVE has no {}: {name} goes without", missing.join(", ")));
        }
        // A name that two share, as two roles that differ in one odd character: together what both need.
        self.roles.entry(name.clone()).or_default().extend(held);
        name
    }
}

impl Rights {
    fn all(&self) -> BTreeSet<String> {
        [Place::Guests, Place::Elsewhere]
            .into_iter()
            .flat_map(|place| self.at(place))
            .map(str::to_owned)
            .collect()
    }
}

/// What stands at a path takes the place of what comes from above it, so there all of that is said again.
pub fn closed(grants: &[Grant]) -> Grants {
    let mut all = Grants::new();
    for (path, _) in grants {
        let above = |(at, _): &&Grant| at == "/" || at == path || path.starts_with(&format!("{at}/"));
        let roles = grants.iter().filter(above).map(|(_, role)| role.clone()).collect();
        all.insert(path.clone(), roles);
    }
    all
}

/// With the characters that PVE takes in ids.
pub fn plain(name: &str) -> String {
    let plain = |character: char| {
        if character.is_ascii_alphanumeric() || "-_.".contains(character) { character } else { '-' }
    };
    name.chars().map(plain).collect()
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use super::*;
    use crate::catalog::Release;

    fn of(text: &str) -> Result<Wanted, Failed> {
        let config = crate::config::parse(Path::new("x"), text).unwrap();
        let known =
            crate::sim::estate::access::roles::PRIVILEGES.iter().map(|name| (*name).to_owned()).collect();
        let catalog = Catalog::embedded(Release::V9_2);
        let names = Names::of("pve1", None, &[], &Default::default());
        wanted(names, &config, &catalog, &known, &Index::default())
    }

    #[test]
    fn a_role_without_limits_stands_at_the_root_and_the_user_has_no_more_than_its_tokens() {
        let wanted = of("[[role]]\nname='a'\nmembers=[]\nprofile='operate'").unwrap();
        assert_eq!(wanted.tokens.len(), 1);
        assert_eq!(wanted.grants, wanted.tokens[0].grants);
        let roles: Vec<_> = wanted.grants["/"].iter().map(String::as_str).collect();
        assert_eq!(roles, ["Provost-pve1.observe", "Provost-pve1.operate"]);
    }

    #[test]
    fn a_role_of_some_guests_holds_its_guests_rights_there_alone_and_what_is_above_is_said_again() {
        let wanted =
            of("[[role]]\nname='a b'\nmembers=[]\nguests=[99,'100-101','pool:dev']\ntoken='/t'").unwrap();
        let token = &wanted.tokens[1];
        let paths: Vec<&str> = token.grants.keys().map(String::as_str).collect();
        assert_eq!(paths, ["/", "/pool/dev", "/vms/100", "/vms/101"]);
        assert_eq!(token.grants["/"].len(), 1);
        assert!(
            token.grants["/vms/100"].contains("Provost-pve1.role.a-b.guests")
                && token.grants["/vms/100"].len() == 2
        );
        assert!(wanted.grants["/vms/100"].contains("Provost-pve1.observe"), "{:?}", wanted.grants);
        assert!(!wanted.roles["Provost-pve1.role.a-b"].iter().any(|privilege| privilege.starts_with("VM.")));
        assert_eq!(token.base, "role-a-b");
    }

    #[test]
    fn too_many_guests_and_privileges_that_the_release_lacks_are_said() {
        let error = of("[[role]]\nname='a'\nmembers=[]\nguests=['100-999999']").unwrap_err().to_string();
        assert!(error.contains("pool:NAME"), "{error}");
        let wanted = of("[[role]]\nname='a'\nmembers=[]\nprofile='full'").unwrap();
        assert!(wanted.notes.iter().any(|note| note.contains("no floor")), "{:?}", wanted.notes);
    }
}
