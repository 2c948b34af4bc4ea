//! Whose API is managed where it is not simply the node's: another product's, or one of several.

use std::path::Path;

use super::{Check, Ground, State};
use crate::product::{Credential, Installed, Product};

pub fn checks(ground: &Ground) -> Vec<Check> {
    let Some(config) = &ground.config else { return Vec::new() };
    judge(config.pve.product(), &Product::installed(Path::new("/")))
}

/// Nothing, on a node of Proxmox VE alone.
fn judge(product: Product, installed: &Installed) -> Vec<Check> {
    const NAME: &str = "product";
    let all = || std::iter::once(installed.product).chain(installed.beside.iter().copied());
    let beside: Vec<&str> = all().filter(|other| *other != product).map(Product::title).collect();
    let mut checks = Vec::new();
    let is_there = installed.found && all().any(|other| other == product);
    match (is_there, beside.is_empty()) {
        (true, true) if product == Product::Pve => {}
        (true, true) => checks.push(Check::good(NAME, format!("{product} is what is managed here"))),
        (true, false) => checks.push(Check::good(
            NAME,
            format!(
                "{product} is what is managed here; {} is installed beside it, and is not: [pve] product = \"{}\" would turn it round",
                beside.join(" and "),
                all().find(|other| *other != product).unwrap_or_default().facts().name
            ),
        )),
        (false, _) if !installed.found => {}
        (false, _) => checks.push(Check::not(
            NAME,
            State::Look,
            format!("[pve] product says {product}, and {} is what is installed", beside.join(" and ")),
            "take the key out, or say whose API [pve] url is",
        )),
    }
    if let Credential::Ticket { .. } = product.facts().credential {
        let why = format!(
            "{product} has no API tokens: its API is described, searched and judged, and nothing is asked of it"
        );
        checks.push(Check::not("credential", State::Look, why, "nothing, until it has tokens"));
    }
    checks
}

/// The copy of a certificate that Provost's account cannot read where its product keeps it, with its key or behind a closed
/// directory.
pub fn certificate(product: Product, pinned: &Path) -> Check {
    const NAME: &str = "certificate";
    let facts = product.facts();
    let (kept, shown) = (facts.certificate, pinned.display());
    let mend = copying(product, pinned);
    let leaf = |path: &Path| std::fs::read(path).ok().and_then(|bytes| first(&bytes));
    match (leaf(pinned), leaf(Path::new(kept))) {
        (None, _) => Check::not(
            NAME,
            State::Bad,
            format!("{shown} holds no certificate: without it no connection is made"),
            mend,
        ),
        (Some(_), None) => {
            Check::good(NAME, format!("{shown} is there; whether it is that of {kept} only root can tell"))
        }
        (Some(ours), Some(its)) if ours == its => Check::good(NAME, format!("{shown} is that of {kept}")),
        (Some(_), Some(_)) => {
            Check::not(NAME, State::Bad, format!("{shown} is another than {kept}, which was renewed"), mend)
        }
    }
}

/// What puts the copy there, without the key that may lie beside it.
pub fn copying(product: Product, pinned: &Path) -> String {
    let kept = product.facts().certificate;
    format!("openssl x509 -in {kept} -out {} (as root; again when it is renewed)", pinned.display())
}

/// The first certificate in a file in PEM.
fn first(bytes: &[u8]) -> Option<String> {
    const END: &str = "-----END CERTIFICATE-----";
    let text = String::from_utf8_lossy(bytes);
    let from = text.find("-----BEGIN CERTIFICATE-----")?;
    let to = text[from..].find(END)?;
    Some(text[from..from + to].split_whitespace().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(product: Product, beside: &[Product]) -> Installed {
        Installed { product, beside: beside.to_vec(), found: true }
    }

    #[test]
    fn a_node_of_proxmox_ve_alone_has_nothing_to_say() {
        assert!(judge(Product::Pve, &host(Product::Pve, &[])).is_empty());
        let nothing = Installed { product: Product::Pve, beside: vec![], found: false };
        assert!(judge(Product::Pve, &nothing).is_empty());
    }

    #[test]
    fn of_several_it_is_said_which_is_managed_and_how_to_turn_it_round() {
        let checks = judge(Product::Pve, &host(Product::Pve, &[Product::Backup]));
        assert!(
            checks[0].state == State::Good && checks[0].evidence.contains("product = \"backup\""),
            "{checks:?}"
        );
        let checks = judge(Product::Backup, &host(Product::Pve, &[Product::Backup]));
        assert!(checks[0].evidence.contains("product = \"pve\""), "{checks:?}");
        let checks = judge(Product::Datacenter, &host(Product::Pve, &[]));
        assert!(checks[0].state == State::Look, "{checks:?}");
        let checks = judge(Product::Mail, &host(Product::Mail, &[]));
        assert!(checks.iter().any(|check| check.evidence.contains("no API tokens")), "{checks:?}");
    }

    #[test]
    fn a_copy_that_is_not_there_is_bad_and_says_how_it_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let check = certificate(Product::Backup, &dir.path().join("api.pem"));
        assert!(check.state == State::Bad && check.mend.unwrap().contains("openssl x509"));
    }
}
