//! A call of the API, and the verdict on it that no scope of guests changes: the role's `deny`, and its profile.

use serde_json::{Map, Value};

use super::Denied;
use crate::catalog::scope::{Form, Named};
use crate::catalog::{Checked, Method, tier};
use crate::config::Role;
use crate::product::Product;

/// What somebody wants to call.
#[derive(Debug, Clone)]
pub struct Call {
    pub product: Product,
    pub method: Method,
    /// The endpoint's path, with its parameters in braces.
    pub template: String,
    /// The path that is called, its segments decoded.
    segments: Vec<String>,
    /// Its parameters, of the path and beside it.
    pub parameters: Vec<(String, String)>,
}

impl From<&Checked> for Call {
    fn from(checked: &Checked) -> Self {
        let beside = checked.pairs().iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Self::new(checked.product(), checked.method(), checked.template(), checked.path(), beside)
    }
}

impl Call {
    /// `path` is encoded, and what the template stands for.
    pub fn new<'a>(
        product: Product,
        method: Method,
        template: &str,
        path: &str,
        beside: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let decoded =
            |segment: &str| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into();
        let segments: Vec<String> = path.split('/').skip(1).map(decoded).collect();
        let blanks = template.split('/').skip(1).map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let of_path =
            blanks.zip(&segments).filter_map(|(name, value)| Some((name?.to_owned(), value.clone())));
        let beside = beside.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let parameters = of_path.chain(beside).collect();
        Self { product, method, template: template.to_owned(), segments, parameters }
    }

    /// For messages.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.template)
    }

    /// The guest that its parameters name first, for who records the call.
    pub fn guest(&self) -> Option<u32> {
        self.parameters.iter().find_map(|(name, value)| match Form::of_key(name)?.read_text(value) {
            Named::Guests(guests) => guests.first().copied(),
            Named::Nobody | Named::Unclear => None,
        })
    }

    fn arguments(&self) -> Map<String, Value> {
        self.parameters.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()
    }
}

/// Whether the role may make the call at all. Each ground of its tier has to be the profile's.
pub fn verdict(role: &Role, call: &Call) -> Result<(), Denied> {
    let segments = || call.segments.iter().map(String::as_str);
    let denies = |pattern: &&crate::config::CallPattern| {
        pattern.matches(call.method.name(), &call.template, segments())
    };
    if let Some(pattern) = role.deny.iter().find(denies) {
        let pattern = pattern.text().to_owned();
        return Err(Denied::Call { call: call.name(), role: role.name.clone(), pattern });
    }
    if !role.allows(call.method.name(), &call.template, segments()) {
        return Err(Denied::Unlisted { call: call.name(), role: role.name.clone() });
    }
    let judgement = tier::judge(call.product, call.method, &call.template, &call.arguments());
    match judgement.grounds().iter().find(|ground| !role.profile.holds(ground.tier)) {
        Some(ground) => Err(Denied::Tier {
            call: call.name(),
            role: role.name.clone(),
            profile: role.profile.name(),
            tier: ground.tier.name(),
            why: ground.why,
        }),
        None => Ok(()),
    }
}
