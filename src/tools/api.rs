//! The node's API as one principal has it: the client with the role's token and no method but GET, the catalogue, what
//! of it the role may see.

mod gate;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

use super::Provost;
use super::answer::Failure;
use super::record::Notes;
use crate::catalog::find::{Finder, Finders, GetByWords, Known, NoGet};
use crate::catalog::{Cache, Catalog, Edition, Foreseen, Loaded, Origin, Source, SourceError};
use crate::config::Config;
use crate::policy::{Policy, Principal, Sight};
use crate::product::Product;
use crate::pve::{self, Client, Methods, PveError};

pub use gate::Permitted;

/// What `read` and its like are handed.
pub struct Reader {
    client: Client,
    notes: Arc<Notes>,
    pub catalog: Arc<Catalog>,
    finders: Arc<Finders>,
    sight: Sight,
    policy: Arc<Policy>,
    principal: Principal,
}

impl Provost {
    /// The API for a principal that a role names. What is read by it goes into `notes`, and so onto the call's receipt.
    pub fn reader(&self, principal: &Principal, notes: &Arc<Notes>) -> Result<Reader, Failure> {
        let sight = self.policy.read(principal)?;
        let client = match sight.token() {
            Some(token) => self.client.for_token(token),
            None => self.client.clone(),
        };
        Ok(Reader {
            client: client.limited_to(Methods::Reads).for_account(principal.payer()),
            notes: notes.clone(),
            catalog: self.catalog.now(),
            finders: self.finders.clone(),
            sight,
            policy: self.policy.clone(),
            principal: principal.clone(),
        })
    }
}

impl Reader {
    /// The API itself, on record as asked from here on.
    fn client(&self) -> &Client {
        self.notes.reached();
        &self.client
    }

    /// The node that answers.
    pub async fn node(&self) -> Result<String, PveError> {
        self.client().node().await
    }

    /// What the call's receipt will say.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Whether there are guests that the role does not include.
    pub fn is_scoped(&self) -> bool {
        self.sight.is_scoped()
    }

    /// Refuses a guest that the role does not include. What is no guest's id is PVE's to refuse.
    pub fn may_see(&self, guest: Option<u32>) -> Result<(), Failure> {
        let Some(guest) = guest else { return Ok(()) };
        self.notes.guest(guest);
        Ok(self.sight.guest(guest)?)
    }
}

impl Reader {
    /// What turns words into endpoints of its catalogue.
    pub fn finder(&self) -> Arc<Finder> {
        self.finders.of(&self.catalog)
    }

    /// The GET that words mean among what there is, with what they do not name still in braces.
    pub fn in_words(&self, words: &str, known: &Known) -> Result<GetByWords, Failure> {
        Ok(self.finder().as_get(&self.catalog, words, known)?)
    }
}

impl From<NoGet> for Failure {
    fn from(no_get: NoGet) -> Self {
        let message = no_get.to_string();
        match &no_get {
            NoGet::Mutation { method, seen, .. } => {
                let mut next = format!("`plan` with method {method} and this path shows what it would do");
                if let Some(seen) = seen {
                    next.push_str(&format!("; to see alone, `read` {}", seen.path));
                }
                Self::new("not_a_read", message, next)
            }
            NoGet::Acts { .. } => {
                Self::new("not_a_read", message, "the tool that is made for it asks for more")
            }
            NoGet::Nothing => {
                Self::new("no_such_path", message, "`find` shows what there is; or give a path of the API")
            }
        }
    }
}

/// What the node says of its API. Read when it is first asked for: a daemon that only runs commands never holds it.
pub struct Catalogue {
    product: Product,
    apidoc: PathBuf,
    kept: PathBuf,
    source: OnceLock<Source>,
}

impl Catalogue {
    pub fn of(config: &Config) -> Self {
        // Beside the receipts: the daemon's own directory.
        let own = config.ledger.dir.parent().unwrap_or(&config.ledger.dir);
        Self {
            product: config.pve.product(),
            apidoc: config.pve.apidoc.clone(),
            kept: own.to_owned(),
            source: OnceLock::new(),
        }
    }

    /// Whose API it is.
    pub fn product(&self) -> Product {
        self.product
    }

    pub fn now(&self) -> Arc<Catalog> {
        self.loaded().catalog
    }

    /// The same, with where it is from.
    pub fn loaded(&self) -> Loaded {
        let open = || Source::open(&self.apidoc, Some(Cache::new(&self.kept)), Edition::of(self.product));
        self.source.get_or_init(open).current()
    }

    /// Reads the node's file again if it is another by now, beside whoever asks meanwhile. Where nobody has asked yet, the
    /// first who does reads it.
    pub fn look(&self) {
        if let Some(source) = self.source.get() {
            let _ = source.current();
        }
    }

    /// What keeps the catalogue from being what this node's own file says. It is read for that only where nothing less
    /// tells.
    pub fn problem(&self) -> Option<Problem> {
        if self.source.get().is_none() {
            match Source::foresee(self.product, &self.apidoc, &Cache::new(&self.kept)) {
                Foreseen::Good => return None,
                Foreseen::Bad(error) => {
                    return Some(Problem::new(
                        self.product,
                        &error,
                        Origin::Embedded(Edition::of(self.product)),
                    ));
                }
                Foreseen::Unread => {}
            }
        }
        let loaded = self.loaded();
        loaded.problem.map(|error| Problem::new(self.product, &error, loaded.origin))
    }
}

/// Why the catalogue is not what this node's own file says, and what serves in its place.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Problem {
    /// "PVE 9.2, built in", or "as this node's file said last".
    pub serves: String,
    /// The file, and what is wrong with it.
    pub error: String,
    pub next: String,
}

impl Problem {
    fn new(product: Product, error: &SourceError, origin: Origin) -> Self {
        let serves = match origin {
            Origin::Embedded(release) => format!("{release}, built in"),
            Origin::Node | Origin::Cache => "as this node's file said last".to_owned(),
        };
        Self { serves, error: error.to_string(), next: error.next(product.facts().docs) }
    }

    /// For who reads.
    pub fn note(&self) -> String {
        format!(
            "The API's description is not this node's own ({}): {}; {}",
            self.serves, self.error, self.next
        )
    }
}

impl From<PveError> for Failure {
    fn from(error: PveError) -> Self {
        let (kind, next) = kind(&error);
        let units = error.unit().unwrap_or_default().replace(' ', " and ");
        let next = next.replace(UNITS, &units);
        let failure = Self { status: error.status(), ..Self::new(kind, error.to_string(), next) };
        match error {
            PveError::BadParameters { errors, .. } => failure.with("errors", serde_json::json!(errors)),
            _ => failure,
        }
    }
}

/// In what to do next: the services that did not answer, which each product calls otherwise.
const UNITS: &str = "{units}";

fn kind(error: &PveError) -> (&'static str, &'static str) {
    use pve::Failure as Said;
    match error {
        PveError::Token(_) | PveError::Certificate(_) => {
            ("pve_setup", "this is for the operator: `provost doctor` says what is missing")
        }
        PveError::Withheld { .. } => ("withheld", "this way to the API only reads"),
        PveError::Wedged { .. } => {
            ("pve_wedged", "the operator can look at {units}; what does not go by way of it still works")
        }
        PveError::Busy { .. } | PveError::NoRoom { .. } => ("busy", "call again when some have ended"),
        PveError::NotSent { .. } => ("pve_unreachable", "the operator can look at {units}"),
        PveError::NoAnswer { .. } => {
            ("pve_no_answer", "call again; if it stays so, the operator can look at the log of {units}")
        }
        PveError::TooLong { .. } => {
            ("too_long", "a narrower path or the endpoint's own parameters give less")
        }
        PveError::MayHaveHappened { .. } => {
            ("may_have_happened", "read what it names before anything is repeated")
        }
        PveError::NotJson { .. } => (
            "pve_not_json",
            "something else than PVE answers there, or it is broken: this is for the operator",
        ),
        PveError::Unauthorized { .. } => {
            ("pve_token", "this is for the operator: the token of [pve] or of the role is not known to PVE")
        }
        PveError::Forbidden { .. } => ("forbidden", "the operator can give the token's role this privilege"),
        PveError::BadParameters { .. } => ("parameters", "correct them and call again"),
        PveError::NotFound { .. } => ("not_found", "read the list above it for what there is"),
        PveError::NotImplemented { .. } => ("not_implemented", "`find` tells what this node's version has"),
        PveError::Failed { failure, .. } => match failure {
            Said::NoSuchGuest => ("no_such_guest", "read /cluster/resources for where each guest is"),
            Said::NoSuchStorage => ("no_such_storage", "read /storage for the storages that there are"),
            Said::NoSuchNode => ("no_such_node", "read /nodes for the nodes that there are"),
            Said::NoSuchThing => ("not_found", "read the list above it for what there is"),
            Said::Locked => ("locked", "read the guest's recent tasks for what holds it"),
            Said::NoGuestAgent => {
                ("no_guest_agent", "the guest needs qemu-guest-agent and agent=1 in its configuration")
            }
            Said::NoQuorum => ("no_quorum", "read /cluster/status"),
            _ => ("pve", ""),
        },
        PveError::Proxy { .. } => ("node_unreachable", "read /cluster/status for the nodes that are online"),
        PveError::Unexpected { .. } => ("pve", ""),
    }
}
