//! Whether a call has been carried out, as far as how things are shows it: for a change of which nobody recorded what
//! became.

use super::eyes::{Eyes, Seen};
use super::shape::{self, Shape};
use super::{Refused, Request, effects, observe};

/// How things stand beside what a request means to make of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outlook {
    AsMeant,
    /// What it makes is not there, or what it removes is.
    NotThere,
    Otherwise {
        digest: Option<String>,
    },
}

/// Looks whether a request has been carried out, as far as its state shows.
pub async fn outlook(eyes: &Eyes, request: &Request) -> Result<Outlook, Refused> {
    let endpoint = eyes.catalog.template(request.method(), request.template());
    let shape = endpoint.map_or(Shape::Act, |endpoint| shape::of(&eyes.catalog, endpoint));
    let observed = match observe::observe(eyes, request, &shape).await {
        Err(Refused::NoGuest { .. }) if matches!(shape, Shape::Remove { .. }) => return Ok(Outlook::AsMeant),
        observed => observed?,
    };
    let there = observed.subject.as_ref().map(|subject| match subject {
        Seen::There(_) => Some(true),
        Seen::Missing(_) => Some(false),
        Seen::Hidden(_) => None,
    });
    let effects = effects::effects(&eyes.catalog, request, &shape, &observed);
    Ok(match (&shape, there.flatten()) {
        // A rule is known by its place, which says nothing.
        (Shape::Create { key, .. }, _) if key == "pos" => Outlook::Otherwise { digest: None },
        (Shape::Create { .. }, Some(there)) => {
            if there {
                Outlook::AsMeant
            } else {
                Outlook::NotThere
            }
        }
        (Shape::Remove { .. }, Some(there)) if request.text("pos").is_none() => {
            if there {
                Outlook::NotThere
            } else {
                Outlook::AsMeant
            }
        }
        _ if effects::nothing(request, &shape, &effects).is_some() => Outlook::AsMeant,
        _ => Outlook::Otherwise { digest: observed.digest },
    })
}
