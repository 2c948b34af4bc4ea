//! What an operator types on a Backup Server, a Mail Gateway or a Datacenter Manager, where `provost setup` makes nothing by
//! itself: its user, its token, and the copy of the certificate.

use std::path::Path;

use crate::product::{Credential, Product};

/// Why setup does nothing there, and what does it.
pub fn words(product: Product, token: &Path, pinned: &Path) -> String {
    let (facts, token) = (product.facts(), token.display());
    let realm = facts.realm;
    if let Credential::Ticket { .. } = facts.credential {
        return format!(
            "{product} has no API tokens, so there is nothing to set up: Provost finds and explains its calls, and makes none"
        );
    }
    let user = match product {
        Product::Backup => format!(
            "  proxmox-backup-manager user create provost@{realm}\n  \
             proxmox-backup-manager user generate-token provost@{realm} agent\n  \
             proxmox-backup-manager acl update / Audit --auth-id provost@{realm}\n  \
             proxmox-backup-manager acl update / Audit --auth-id 'provost@{realm}!agent'\n"
        ),
        _ => format!(
            "  in its web interface, under Access Control: a user provost@{realm}, a token \"agent\" of it, and the role Auditor on / for both\n"
        ),
    };
    format!(
        "this is a {product}, where setup makes nothing by itself. As root:\n{user}  \
         install -m 0400 -o provost /dev/stdin {token}      (one line: provost@{realm}!agent=SECRET)\n  \
         openssl x509 -in {} -out {}\nA token has what it is given and what its user has, both: a larger role than Audit goes to both. \
         Then write a [[role]] into provost.toml, and `provost doctor` says what is missing",
        facts.certificate,
        pinned.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sibling_is_told_its_own_commands_and_files() {
        let of =
            |product| words(product, Path::new("/etc/provost/pve-token"), Path::new("/etc/provost/api.pem"));
        let backup = of(Product::Backup);
        for says in [
            "provost@pbs!agent=SECRET",
            "acl update / Audit",
            "/etc/proxmox-backup/proxy.pem -out /etc/provost/api.pem",
        ] {
            assert!(backup.contains(says), "{says}: {backup}");
        }
        assert!(of(Product::Datacenter).contains("provost@pdm!agent"));
        assert!(of(Product::Mail).contains("no API tokens"));
    }
}
