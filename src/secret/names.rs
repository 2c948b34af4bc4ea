//! Which names say that their value is secret.

/// `(name, why)`, in lower case, wherever they stand.
pub(super) const SECRET: &[(&str, &str)] = &[
    ("apikey", "of a service"),
    ("authorization", "of an HTTP request"),
    ("bindpw", "of an LDAP profile of a Mail Gateway"),
    ("certkey", "the private key of an LDAP client's certificate"),
    ("cipassword", "the first user's password of a VM; /etc/pve holds it in clear"),
    ("client-key", "OpenID's client secret"),
    ("client-secret", "of an OAuth client"),
    ("confirmation-password", "the caller's own"),
    ("cookie", "of a login"),
    ("corosync_authkey", "lets a machine join the cluster"),
    ("csrfpreventiontoken", "of a login"),
    ("eab-hmac-key", "binds an ACME account"),
    ("encryption-key", "opens every backup that it encrypted"),
    ("keyring", "Ceph's"),
    ("keys", "of a user: the seeds of a second factor"),
    ("mtunnelticket", "of a migration"),
    ("otel-headers", "of a metrics server: may hold a bearer token"),
    ("otp", "a second factor"),
    ("passphrase", "of a key"),
    ("passwd", ""),
    ("password", ""),
    ("private-key", ""),
    ("private_key", "WireGuard's"),
    ("privkey", ""),
    ("proxy-authorization", "of an HTTP request"),
    ("recovery", "codes instead of a second factor"),
    ("refresh-token", "of an OAuth client"),
    ("secret", "also of a webhook, and Ceph's"),
    ("set-cookie", "of a login"),
    ("tfa-challenge", "half of a login"),
    ("ticket", "a login, or the way to a console"),
    ("token", "of a metrics server, Gotify, an IPAM"),
    ("totp", "the seed of a second factor"),
    ("vncticket", "the way to a console"),
];

/// `(path prefix, name, why)`: names that are secret only there.
pub(super) const SECRET_AT: &[(&str, &str, &str)] = &[
    ("/access/domains", "key", "of Yubico's API, in `tfa`"),
    ("/access/openid/login", "code", "a login"),
    ("/access/tfa", "challenge", "half of a login"),
    ("/access/tfa", "value", "a second factor"),
    ("/access/users/{userid}/token", "value", "the token itself"),
    ("/cluster/acme/plugins", "data", "the DNS provider's credentials"),
    ("/config/access", "client-key", "OpenID's client secret"),
    ("/config/acme/plugins", "data", "the DNS provider's credentials"),
    ("/config/encryption-keys", "key", "opens every backup that it encrypted"),
    ("/config/notifications/endpoints/webhook", "header", "may hold a bearer token"),
    ("/config/tape-encryption-keys", "key", "opens every tape that it encrypted"),
    ("/cluster/notifications/endpoints/webhook", "header", "may hold a bearer token"),
    ("/cluster/sdn/dns", "key", "the DNS server's API key"),
    ("/nodes/{node}/certificates/custom", "key", "a private key"),
    ("/nodes/{node}/qemu/{vmid}/agent/exec", "input-data", "what a command reads: a password, as a rule"),
    ("/nodes/{node}/qemu/{vmid}/agent/file-write", "content", "a file of a guest"),
    ("/nodes/{node}/report", "key", "licences the node"),
    ("/nodes/{node}/subscription", "key", "licences the node"),
];

/// `(name, why)`: names that smell of a secret and hold none, by name in order. A test holds the tables against the
/// catalogue.
pub(super) const HARMLESS: &[(&str, &str)] = &[
    ("account", "the name of an ACME account, or its public data"),
    ("authid", "a user's name"),
    ("author", "of a mail"),
    ("authsupported", "the name of a method"),
    ("bond_xmit_hash_policy", "a setting of the kernel"),
    ("cert", "public"),
    ("certificates", "public"),
    ("code", "of a health check; where it is a secret, the other table says so"),
    ("config-keys", "names of settings"),
    ("decode", "yes or no"),
    ("encode", "yes or no"),
    ("env", "of a container: its parts are looked at by their own names"),
    ("exitcode", "a number"),
    ("externalaccountrequired", "yes or no"),
    ("full-tokenid", "a token's name"),
    ("generate-password", "yes or no"),
    ("hashpspool", "a flag of a Ceph pool"),
    ("hotplug", "smells by accident"),
    ("input-data", "only a guest's; the other table says so"),
    ("key", "the name of a setting; where it is a secret, the other table says so"),
    ("keyboard", "a layout"),
    ("keyctl", "a feature of a container"),
    ("lock-token", "names a lock of SDN's; who changes SDN has to give it back"),
    ("mapping", "smells by accident"),
    ("mapping.audit", "a privilege"),
    ("mapping.modify", "a privilege"),
    ("mapping.use", "a privilege"),
    ("master-pubkey", "public"),
    ("ms-cert", "a version"),
    ("pci-id-or-mapping", "smells by accident"),
    ("pre-enrolled-keys", "yes or no"),
    ("privs", "privileges"),
    ("privsep", "yes or no"),
    ("public-key-bits", "public"),
    ("public-key-type", "public"),
    ("public_key", "public"),
    ("signature", "of the subscription, by its seller"),
    ("skip-cert-verification", "yes or no"),
    ("ssh-public-keys", "public"),
    ("sshkeys", "public"),
    ("tfa", "the settings of a method: its parts are looked at by their own names"),
    ("tfa-locked-until", "a time"),
    ("token-coefficient", "corosync's timing"),
    ("tokenid", "a token's name"),
    ("tokens", "names of tokens"),
    ("totp-locked", "yes or no"),
    ("u2f", "the public settings of a method"),
    ("unprivileged", "yes or no"),
    ("verify-certificate", "yes or no"),
    ("verify-certificates", "yes or no"),
    ("webauthn", "the public settings of a method"),
];

/// Whether a value of this name, in what the endpoint of the path template `path` takes or gives, is secret. A name
/// that no table has is secret if it says so by itself: a new PVE release must not be the one that leaks.
pub fn is_secret(path: &str, name: &str) -> bool {
    // `PUT /access/users`, as receipts write it.
    let path = path.rsplit_once(' ').map_or(path, |(_, path)| path);
    let lower = name.to_ascii_lowercase();
    let is_in = |table: &[(&str, &str)], name: &str| table.binary_search_by_key(&name, |(at, _)| at).is_ok();
    // Of `users[0].password`, what it comes down to.
    let last = lower.rsplit('.').next().unwrap_or_default();
    if is_in(SECRET, last) || SECRET_AT.iter().any(|(prefix, at, _)| *at == lower && is_below(path, prefix)) {
        return true;
    }
    !is_in(HARMLESS, &lower) && (says_so(name) || is_among_keys(&lower))
}

/// `mgr/restful/keys/admin`: what Ceph keeps among its modules' settings.
fn is_among_keys(name: &str) -> bool {
    name.rsplit_once('/').is_some_and(|(above, _)| above.split('/').any(|part| part == "keys"))
}

/// Whether an address there may open by itself what it leads to: whoever has it may post.
#[cfg(feature = "ledger")]
pub(super) fn has_secret_addresses(path: &str) -> bool {
    const AT: &[&str] =
        &["/cluster/notifications/endpoints/webhook", "/config/notifications/endpoints/webhook"];
    AT.iter().any(|prefix| is_below(path.rsplit(' ').next().unwrap_or(path), prefix))
}

/// A path template and a name that is secret there, for each of the tables.
#[cfg(test)]
pub fn names_of_secrets() -> impl Iterator<Item = (&'static str, &'static str)> {
    let anywhere = SECRET.iter().map(|(name, _)| ("/", *name));
    anywhere.chain(SECRET_AT.iter().map(|(path, name, _)| (*path, *name)))
}

/// Whether `path`, a template or a path that fills one in, begins as the template `prefix` does.
fn is_below(path: &str, prefix: &str) -> bool {
    let mut path = path.split('/');
    prefix.split('/').all(|wanted| path.next().is_some_and(|part| part == wanted || wanted.starts_with('{')))
}

/// Whether a value of this name is secret anywhere: where it is not known which endpoint it belongs to.
#[cfg(feature = "ledger")]
pub fn may_be_secret(name: &str) -> bool {
    is_secret("", name) || SECRET_AT.iter().any(|(_, at, _)| name.eq_ignore_ascii_case(at))
}

/// What a name of several words says with them, however it joins them: `admin_pass`, `apiKey`, `users[0].password`.
fn says_so(name: &str) -> bool {
    const LONGEST: usize = 256;
    let bytes = &name.as_bytes()[..name.len().min(LONGEST)];
    // The words without what is between them, and where the last one begins.
    let (mut joined, mut last, mut before) = (String::with_capacity(bytes.len()), 0, b' ');
    for byte in bytes {
        let begins =
            !before.is_ascii_alphanumeric() || (byte.is_ascii_uppercase() && !before.is_ascii_uppercase());
        if byte.is_ascii_alphanumeric() {
            if begins {
                last = joined.len();
            }
            joined.push(byte.to_ascii_lowercase().into());
        }
        before = *byte;
    }
    let last = &joined[last..];
    // A password's file or id is none.
    if joined.starts_with("generate") || matches!(last, "file" | "id") {
        return false;
    }
    IN_NAMES.iter().any(|word| joined.contains(word))
        || matches!(last, "token" | "pass" | "psk" | "otp" | "totp" | "cookie" | "jwt" | "pw" | "mdp")
        || joined.ends_with("token")
        || (last == "pwd" && joined.len() > last.len())
        || ["dbpass", "rootpass", "userpass", "keypass", "storepass"].iter().any(|end| joined.ends_with(end))
}

/// What makes a name a secret's wherever it stands in it; words are joined.
const IN_NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "credential",
    "privatekey",
    "privkey",
    "apikey",
    "authkey",
    "accesskey",
    "clientkey",
    "encryptionkey",
    "hmackey",
    "masterkey",
    "presharedkey",
    "signingkey",
    "keyfilecontent",
    "passwort",
    "kennwort",
    "wachtwoord",
    "motdepasse",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_several_words_says_what_it_is() {
        for name in [
            "admin_pass",
            "api_key",
            "apiKey",
            "APIKEY",
            "X-Api-Key",
            "accessToken",
            "GITHUB_TOKEN",
            "aws_secret_access_key",
            "ssh-private-key",
            "sshPrivateKey",
            "PrivateKey",
            "PresharedKey",
            "keyfile-content",
            "users[0].password",
            "a.b.cipassword",
            "PGPASSWORD",
            "MYSQL_PWD",
            "db_passwd",
            "smtp.pass",
            "wifi-psk",
            "u2f_secret",
            "webhookSecret",
            "client-secret",
            "encryption-key",
            "session.cookie",
            "ROOTPASS",
            "wg_private_key",
            "tfa-totp",
            "PW",
            "root_pw",
            "Passwort",
            "Kennwort",
            "mdp",
            "mgr/restful/keys/admin",
        ] {
            assert!(is_secret("", name), "{name}");
        }
        for name in [
            "password-file",
            "token-id",
            "tokenid",
            "lock-token",
            "PWD",
            "OLDPWD",
            "compass",
            "bypass",
            "passive",
            "keyboard",
            "monkey",
            "master-pubkey",
            "smbios1",
            "serial",
            "sshkeys",
            "status",
            "hotplug",
            "cookies-policy",
            "tokens",
            "mgr/dashboard/keys",
            "mgr/dashboard/url_prefix",
        ] {
            assert!(!is_secret("", name), "{name}");
        }
    }
}
