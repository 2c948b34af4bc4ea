//! The hand that makes a change: the last line before the socket.
//!
//! In: a [`Cleared`] leave, and the one call that it is for. Out: PVE's answer. What the profile promises is asserted here
//! once more, from the call itself and from nothing that was said about it: a hand that never deletes holds a client that
//! has no DELETE, and takes only a [`Mild`] call, which no call that deletes or destroys can become.

use percent_encoding::percent_decode_str;

use super::approval::Cleared;
use super::change::{Leave, Wanted, allows, methods, permits};
use super::{Barred, Denied};
use crate::catalog::tier::{self, Tier};
use crate::catalog::{Catalog, Checked, Method};
use crate::config::Profile;
use crate::product::Product;
use crate::pve::{Answer, CallError, Client, Methods, Path, PveError, Write};

/// What may be sent once, as whom.
pub struct Hand {
    leave: Leave,
    reach: Reach,
}

enum Reach {
    Careful(Careful),
    Full(Client),
}

/// A client that has no DELETE.
struct Careful(Client);

/// A call that deletes nothing and destroys nothing, as the tables have it. Only [`Mild::of`] makes one.
struct Mild(Write);

/// Why nothing was sent, or what PVE answered instead.
#[derive(Debug, thiserror::Error)]
pub enum Unsent {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("this leave is for {granted}, and {asked} is another call")]
    Another { granted: String, asked: String },
    #[error("a profile that never deletes was handed {0}; nothing was sent, and this is to be reported")]
    Promise(String),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Pve(#[from] PveError),
}

impl Careful {
    async fn send(&self, call: Mild) -> Result<Answer, PveError> {
        self.0.send(call.0).await
    }
}

impl Mild {
    fn of(checked: &Checked) -> Result<Self, Unsent> {
        let harmless = |tier| Profile::Provision.holds(tier);
        let all = judge(checked).grounds().iter().all(|ground| harmless(ground.tier));
        match checked.method() {
            Method::Post | Method::Put if all => Ok(Self(write(checked)?)),
            _ => Err(Unsent::Promise(name(checked))),
        }
    }
}

impl Hand {
    /// `client` is the node's; what comes of it has the role's token, and no method that the profile does not have.
    pub fn new(client: &Client, cleared: Cleared) -> Self {
        let leave = cleared.into_leave();
        let client = match leave.token() {
            Some(token) => client.for_token(token),
            None => client.clone(),
        };
        let client = client.limited_to(leave.methods());
        let reach = match leave.methods() {
            Methods::All => Reach::Full(client),
            Methods::NoDelete | Methods::Reads => Reach::Careful(Careful(client)),
        };
        Self { leave, reach }
    }

    pub fn leave(&self) -> &Leave {
        &self.leave
    }

    /// Sends the call that the leave is for, once. As with [`Client::send`], to drop the future is to give up knowing.
    pub async fn send(self, checked: &Checked) -> Result<Answer, Unsent> {
        let (method, path) = self.leave.call();
        if (method, path) != (checked.method(), checked.path()) {
            return Err(Unsent::Another { granted: format!("{method} {path}"), asked: name(checked) });
        }
        let wanted = Wanted {
            method: checked.method(),
            template: checked.template(),
            path: checked.path(),
            judgement: &judge(checked),
            guests: &[],
            taint: false,
        };
        permits(self.leave.its_role(), &wanted).map_err(Denied::from)?;
        allows(self.leave.its_role(), &wanted).map_err(Denied::from)?;
        self.leave.check_halt()?;
        Ok(match &self.reach {
            Reach::Careful(careful) => careful.send(Mild::of(checked)?).await?,
            Reach::Full(client) => client.send(write(checked)?).await?,
        })
    }
}

fn name(checked: &Checked) -> String {
    format!("{} {}", checked.method(), checked.template())
}

/// The judgement of what would be sent, by nothing but that.
fn judge(checked: &Checked) -> tier::Judgement {
    tier::judge(checked.product(), checked.method(), checked.template(), &checked.arguments())
}

fn write(checked: &Checked) -> Result<Write, CallError> {
    // Encoded by segments there, and so here: what an encoded `/` belongs to is known to both.
    let segments =
        checked.path().split('/').skip(1).map(|segment| percent_decode_str(segment).decode_utf8_lossy());
    let path = Path::of(segments)?;
    let mut write = match checked.method() {
        Method::Post => Write::post(path),
        Method::Put => Write::put(path),
        Method::Delete => Write::delete(path),
        Method::Get => {
            return Err(CallError::Path { path: checked.path().to_owned(), why: "it is a GET" });
        }
    };
    for (name, value) in checked.pairs() {
        write = write.with(name, value)?;
    }
    match checked.node() {
        Some(node) => write.on_node(node),
        None => Ok(write),
    }
}

/// A call that a profile would be given against its promise.
#[derive(Debug, thiserror::Error)]
#[error("profile \"{profile}\" would be given {call}, against its promise; the tables of tiers are wrong")]
pub struct Broken {
    pub profile: &'static str,
    pub call: String,
}

/// Whether each profile holds its promise over all that the tables know and all that the catalogue has: `observe` changes
/// nothing, nobody but `full` deletes or destroys, and nobody at all does what is held.
pub fn promises(catalog: &Catalog) -> Result<(), Broken> {
    let rows = |product| tier::rows(product).iter().map(move |row| (product, row.method, row.path));
    let known = Product::ALL.into_iter().flat_map(rows);
    let of_node = catalog
        .endpoints()
        .iter()
        .map(|endpoint| (endpoint.product, endpoint.method, endpoint.path.as_str()));
    for (product, method, path) in known.chain(of_node).filter(|(_, method, _)| *method != Method::Get) {
        let (tier, _) = tier::of(product, method, path);
        for profile in [Profile::Observe, Profile::Operate, Profile::Provision, Profile::Full] {
            let given = profile.holds(tier) && (method != Method::Delete || methods(profile) == Methods::All);
            let promised = match profile {
                Profile::Observe => false,
                Profile::Operate | Profile::Provision => {
                    method != Method::Delete
                        && !matches!(tier, Tier::Destructive | Tier::Lockout | Tier::Host | Tier::Held)
                }
                Profile::Full => tier != Tier::Held,
            };
            if given && !promised {
                return Err(Broken { profile: profile.name(), call: format!("{method} {path}") });
            }
        }
    }
    Ok(())
}

impl From<Barred> for Unsent {
    fn from(barred: Barred) -> Self {
        Denied::from(barred).into()
    }
}

#[cfg(test)]
#[path = "hand_tests.rs"]
mod tests;
