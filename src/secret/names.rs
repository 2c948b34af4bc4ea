//! Which names say that their value is secret.

/// `(name, why)`, in lower case, wherever they stand.
pub(super) const SECRET: &[(&str, &str)] = &[
    ("apikey", "of a service"),
    ("certkey", "the private key of an LDAP client's certificate"),
    ("cipassword", "the first user's password of a VM; /etc/pve holds it in clear"),
    ("client-key", "OpenID's client secret"),
    ("client-secret", "of an OAuth client"),
    ("confirmation-password", "the caller's own"),
    ("corosync_authkey", "lets a machine join the cluster"),
    ("csrfpreventiontoken", "of a login"),
    ("eab-hmac-key", "binds an ACME account"),
    ("encryption-key", "opens every backup that it encrypted"),
    ("keyring", "Ceph's"),
    ("keys", "of a user: the seeds of a second factor"),
    ("mtunnelticket", "of a migration"),
    ("otp", "a second factor"),
    ("passphrase", "of a key"),
    ("passwd", ""),
    ("password", ""),
    ("private-key", ""),
    ("private_key", "WireGuard's"),
    ("privkey", ""),
    ("recovery", "codes instead of a second factor"),
    ("refresh-token", "of an OAuth client"),
    ("secret", "also of a webhook, and Ceph's"),
    ("ticket", "a login, or the way to a console"),
    ("token", "of a metrics server, Gotify, an IPAM"),
    ("totp", "the seed of a second factor"),
    ("vncticket", "the way to a console"),
];

/// `(path prefix, name, why)`: names that are secret only there.
pub(super) const SECRET_AT: &[(&str, &str, &str)] = &[
    ("/access/tfa", "challenge", "half of a login"),
    ("/access/users/{userid}/token", "value", "the token itself"),
    ("/cluster/acme/plugins", "data", "the DNS provider's credentials"),
    ("/cluster/notifications/endpoints/webhook", "header", "may hold a bearer token"),
    ("/cluster/sdn/dns", "key", "the DNS server's API key"),
    ("/nodes/{node}/certificates/custom", "key", "a private key"),
    ("/nodes/{node}/subscription", "key", "licences the node"),
];

/// `(name, why)`: names that smell of a secret and hold none. A test holds both tables against the catalogue.
#[cfg(test)]
pub(super) const HARMLESS: &[(&str, &str)] = &[
    ("author", "of a mail"),
    ("authid", "a user's name"),
    ("authsupported", "the name of a method"),
    ("bond_xmit_hash_policy", "a setting of the kernel"),
    ("cert", "public"),
    ("certificates", "public"),
    ("config-keys", "names of settings"),
    ("full-tokenid", "a token's name"),
    ("generate-password", "yes or no"),
    ("hashpspool", "a flag of a Ceph pool"),
    ("hotplug", "smells by accident"),
    ("key", "the name of a setting; where it is a secret, the other table says so"),
    ("keyboard", "a layout"),
    ("keyctl", "a feature of a container"),
    ("lock-token", "names a lock of SDN's; who changes SDN has to give it back"),
    ("master-pubkey", "public"),
    ("ms-cert", "a version"),
    ("pre-enrolled-keys", "yes or no"),
    ("privs", "privileges"),
    ("privsep", "yes or no"),
    ("public-key-bits", "public"),
    ("public-key-type", "public"),
    ("public_key", "public"),
    ("skip-cert-verification", "yes or no"),
    ("ssh-public-keys", "public"),
    ("sshkeys", "public"),
    ("token-coefficient", "corosync's timing"),
    ("tokenid", "a token's name"),
    ("tokens", "names of tokens"),
    ("totp-locked", "yes or no"),
    ("unprivileged", "yes or no"),
    ("verify-certificate", "yes or no"),
    ("verify-certificates", "yes or no"),
    ("webauthn", "the public settings of a method"),
];

/// Whether a value of this name, in what the endpoint of the path template `path` takes or gives, is secret. A name
/// that no table has is secret if it says so by itself: a new PVE release must not be the one that leaks.
pub fn is_secret(path: &str, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.binary_search_by_key(&name.as_str(), |(name, _)| name).is_ok()
        || SECRET_AT.iter().any(|(prefix, at, _)| *at == name && path.starts_with(prefix))
        || says_so(&name)
}

fn says_so(name: &str) -> bool {
    let asks = name.starts_with("generate") || name.ends_with("-file") || name.ends_with("-id");
    !asks
        && ["password", "passwd", "secret", "private-key", "private_key", "privatekey", "credential"]
            .iter()
            .any(|word| name.contains(word))
}
