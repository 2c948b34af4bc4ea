//! The API token: who we are to PVE.
//!
//! It is in memory once, in a header value that prints as `Sensitive` and is wiped when the last call that holds it is
//! done. The process is undumpable, so what the connection's buffers hold of it does not reach a core dump either.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bytes::Bytes;
use hyper::header::HeaderValue;
use zeroize::Zeroizing;

use super::watched::{Content, Watched};
use crate::product::{Credential, Product};

/// A token is near 60 bytes.
const MOST: usize = 1024;

/// What is wrong with the token's file. None of these holds a part of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot read {path}, which holds the API token ({source}); make one with `provost setup`, or name its file in [pve] token", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error(
        "[pve] token names a systemd credential, {name}, and there is none ($CREDENTIALS_DIRECTORY is not set); start provostd by its unit, which loads pve-token (another name needs a LoadCredential line there), or give the path of a file"
    )]
    NoCredentials { name: String },
    #[error("everybody on this machine can read the API token in {path} (mode {mode:04o}); chmod 0400 it, and give the token a new secret", path = path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{path} holds no API token, as {why}; it is one line, USER@REALM!ID=SECRET", path = path.display())]
    Malformed { path: PathBuf, why: &'static str },
    #[error(
        "{0} has no API tokens, and Provost keeps the password of nobody; nothing was sent; `find` and its catalogue work all the same"
    )]
    NoTokens(Product),
}

/// Where a token comes from. Re-read when the file is replaced, so that rotating it needs no restart.
pub struct TokenFile {
    /// As configured: a path, or the bare name of a credential.
    given: PathBuf,
    /// Whose token it is: each has a header of its own.
    product: Product,
    current: Mutex<Watched<HeaderValue>>,
}

impl TokenFile {
    pub fn new(given: impl Into<PathBuf>, product: Product) -> Self {
        Self { given: given.into(), product, current: Mutex::default() }
    }

    fn scheme(&self) -> Result<Scheme, TokenError> {
        match self.product.facts().credential {
            Credential::Token { scheme, sign } => Ok(Scheme { name: scheme, sign }),
            Credential::Ticket { .. } => Err(TokenError::NoTokens(self.product)),
        }
    }

    /// The `Authorization` header.
    pub fn header(&self) -> Result<HeaderValue, TokenError> {
        let mut current = self.current.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(header) = current.fresh() {
            return Ok(header);
        }
        let scheme = self.scheme()?;
        let path = place(&self.given)?;
        current.look(
            &path,
            MOST,
            |source| TokenError::Read { path: path.clone(), source },
            |content| header_of(&path, content, scheme),
        )
    }
}

impl TokenFile {
    /// `USER@REALM!ID`
    pub fn id(&self) -> Result<String, TokenError> {
        let (header, scheme) = (self.header()?, self.scheme()?);
        let line = header.as_bytes().get(scheme.name.len() + 1..).unwrap_or_default();
        let id = line.split(|byte| *byte == scheme.sign as u8).next().unwrap_or_default();
        Ok(String::from_utf8_lossy(id).into_owned())
    }
}

/// How a product's header writes a token: `PVEAPIToken=ID=SECRET`, `PBSAPIToken=ID:SECRET`.
#[derive(Clone, Copy)]
struct Scheme {
    name: &'static str,
    sign: char,
}

/// Behind the name of a credential that lies unencrypted, as on a host that cannot encrypt: the unit may load each name once.
const PLAIN: &str = ".plain";

/// A name without a `/` is a credential that systemd put into its directory.
fn place(given: &Path) -> Result<PathBuf, TokenError> {
    if !crate::config::is_credential(given) {
        return Ok(given.to_owned());
    }
    match std::env::var_os("CREDENTIALS_DIRECTORY") {
        Some(directory) => Ok(credential(Path::new(&directory), given)),
        None => Err(TokenError::NoCredentials { name: given.display().to_string() }),
    }
}

/// The encrypted one, where there is one.
fn credential(directory: &Path, name: &Path) -> PathBuf {
    let (given, mut plain) = (directory.join(name), name.as_os_str().to_owned());
    plain.push(PLAIN);
    let plain = directory.join(plain);
    if !given.exists() && plain.exists() { plain } else { given }
}

fn header_of(path: &Path, content: Content, scheme: Scheme) -> Result<HeaderValue, TokenError> {
    if content.mode & 0o007 != 0 {
        return Err(TokenError::Exposed { path: path.to_owned(), mode: content.mode & 0o7777 });
    }
    let line = content.bytes.strip_suffix(b"\n").unwrap_or(&content.bytes);
    let malformed = |why| TokenError::Malformed { path: path.to_owned(), why };
    let (id, secret) = check(line, scheme).map_err(malformed)?;
    let mut value = Zeroizing::new(Vec::with_capacity(2 * MOST));
    for part in [scheme.name, "=", id, scheme.sign.encode_utf8(&mut [0; 4]), secret] {
        value.extend_from_slice(part.as_bytes());
    }
    let mut header =
        HeaderValue::from_maybe_shared(Bytes::from_owner(value)).map_err(|_| malformed("it is not ASCII"))?;
    header.set_sensitive(true);
    Ok(header)
}

/// The token's id and its secret, by PVE's own rules for the parts; and a secret that is no header of its own.
fn check(line: &[u8], scheme: Scheme) -> Result<(&str, &str), &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "it is not ASCII")?;
    if text.is_empty() {
        return Err("it is empty");
    }
    if ["PVEAPIToken", "PBSAPIToken", "PDMAPIToken"].iter().any(|name| text.starts_with(name)) {
        return Err("what comes before the user belongs to the header, not to the file");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("there is white space, a second line or a character beyond ASCII in it");
    }
    // The products that write it with a colon show it so.
    let (id, secret) = match text.split_once('=') {
        Some(parts) => parts,
        None => text.rsplit_once(scheme.sign).ok_or("there is no '='")?,
    };
    let (user, token) = id.split_once('!').ok_or("there is no '!' between the user and the token's id")?;
    let (name, realm) = user.rsplit_once('@').ok_or("the user has no @REALM")?;
    let is_id = |part: &str| {
        part.len() >= 2
            && part.starts_with(|first: char| first.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    if name.is_empty() || name.contains([':', '/', '!']) {
        return Err("the user's name is none");
    }
    if !is_id(realm) {
        return Err("the realm is none");
    }
    if !is_id(token) {
        return Err("the token's id is none");
    }
    let is_secret = (8..=128).contains(&secret.len())
        && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_secret {
        return Err("the secret is not the UUID that PVE gave");
    }
    Ok((id, secret))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const SECRET: &str = "5f3a1c9e-1111-4222-8333-94445555aaaa";

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("token");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (place, path)
    }

    /// What is taken for a secret, by its words, tells nobody what to mend.
    #[test]
    fn what_is_wrong_with_it_stays_whole_in_a_receipt() {
        let path = PathBuf::from("/etc/provost/pve-token");
        for error in [
            TokenError::Read { path: path.clone(), source: std::io::ErrorKind::PermissionDenied.into() },
            TokenError::NoCredentials { name: "pve-token".into() },
            TokenError::Exposed { path: path.clone(), mode: 0o644 },
            TokenError::Malformed { path, why: "it is empty" },
            TokenError::NoTokens(Product::Mail),
        ] {
            let said = error.to_string();
            assert_eq!(crate::ledger::receipt::Clean::from(said.as_str()).as_str(), said);
        }
    }

    #[test]
    fn a_token_becomes_a_header_that_prints_nothing() {
        let (_place, path) = file(&format!("agent@pve!t1={SECRET}\n"), 0o640);
        let header = TokenFile::new(&path, Product::Pve).header().unwrap();
        assert_eq!(header.to_str().unwrap(), format!("PVEAPIToken=agent@pve!t1={SECRET}"));
        assert!(header.is_sensitive() && !format!("{header:?}").contains("5f3a"));
    }

    #[test]
    fn each_product_is_given_its_own_form_of_the_header() {
        for (product, line, header) in [
            (Product::Pve, "a@pve!t1=", Some("PVEAPIToken=a@pve!t1=")),
            (Product::Backup, "a@pbs!t1=", Some("PBSAPIToken=a@pbs!t1:")),
            (Product::Backup, "a@pbs!t1:", Some("PBSAPIToken=a@pbs!t1:")),
            (Product::Datacenter, "a@pdm!t1:", Some("PDMAPIToken=a@pdm!t1:")),
            (Product::Pve, "a@pve!t1:", None),
        ] {
            let (_place, path) = file(&format!("{line}{SECRET}\n"), 0o600);
            let token = TokenFile::new(&path, product);
            let given = token.header().ok().map(|header| header.to_str().unwrap().to_owned());
            assert_eq!(given, header.map(|header| format!("{header}{SECRET}")), "{product} {line}");
            if given.is_some() {
                assert_eq!(token.id().unwrap(), line[..line.len() - 1]);
            }
        }
    }

    #[test]
    fn a_product_without_tokens_says_so_before_anything_is_read() {
        let error = TokenFile::new("/nowhere", Product::Mail).header().unwrap_err();
        assert!(matches!(error, TokenError::NoTokens(Product::Mail)), "{error}");
    }

    #[test]
    fn what_is_no_token_is_refused_without_showing_it() {
        for line in [
            "".to_owned(),
            "\n".to_owned(),
            SECRET.to_owned(),
            format!("agent@pve={SECRET}"),
            format!("agent!t1={SECRET}"),
            format!("@pve!t1={SECRET}"),
            format!("agent@!t1={SECRET}"),
            format!("agent@pve!={SECRET}"),
            format!("agent@pve!t1 = {SECRET}"),
            format!("agent@pve!t1={SECRET}\nX-Header: 1"),
            format!("agent@pve!t1={SECRET}\r\n"),
            format!("PVEAPIToken=agent@pve!t1={SECRET}"),
            format!("agent@pve!t1={SECRET}="),
            "agent@pve!t1=".to_owned(),
            "agent@pve!t1=ünüblich-5f3a1c9e".to_owned(),
            "x".repeat(MOST + 1),
        ] {
            let (_place, path) = file(&line, 0o600);
            let error = TokenFile::new(&path, Product::Pve).header().expect_err(&line);
            assert!(!format!("{error} {error:?}").contains("5f3a"), "{error:?}");
        }
    }

    #[test]
    fn a_token_that_everybody_can_read_is_refused() {
        let (_place, path) = file(&format!("agent@pve!t1={SECRET}\n"), 0o644);
        let error = TokenFile::new(&path, Product::Pve).header().unwrap_err();
        assert!(matches!(error, TokenError::Exposed { mode: 0o644, .. }), "{error}");
    }

    #[test]
    fn a_credential_is_the_encrypted_one_where_there_is_one() {
        let place = tempfile::tempdir().unwrap();
        let is = |file: &str| assert_eq!(credential(place.path(), "t".as_ref()), place.path().join(file));
        is("t");
        std::fs::write(place.path().join("t.plain"), "").unwrap();
        is("t.plain");
        std::fs::write(place.path().join("t"), "").unwrap();
        is("t");
    }

    #[test]
    fn a_directory_or_a_pipe_is_no_token() {
        let place = tempfile::tempdir().unwrap();
        assert!(TokenFile::new(place.path(), Product::Pve).header().is_err());
        let pipe = place.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(TokenFile::new(pipe, Product::Pve).header().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_rotated_token_is_taken_up_within_a_second() {
        let (place, path) = file(&format!("agent@pve!t1={SECRET}\n"), 0o600);
        let token = TokenFile::new(&path, Product::Pve);
        let before = token.header().unwrap();
        let next = place.path().join("next");
        std::fs::write(&next, "agent@pve!t1=00000000-1111-4222-8333-94445555aaaa\n").unwrap();
        std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::rename(&next, &path).unwrap();
        assert_eq!(token.header().unwrap(), before, "a look is good for a second");
        tokio::time::advance(std::time::Duration::from_millis(1001)).await;
        assert_ne!(token.header().unwrap(), before);
        std::fs::remove_file(&path).unwrap();
        tokio::time::advance(std::time::Duration::from_millis(1001)).await;
        assert!(token.header().is_err(), "a token that was taken away is not used on");
    }
}
