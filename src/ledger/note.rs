//! Heads of the log as signed notes: C2SP `signed-note` and `tlog-checkpoint`, with Ed25519 by `ring`.
//!
//! In: a size and a root, or a note's bytes. Out: the note, or what it says once its signature was checked. The format is
//! `signed_note`'s; a key is written as Go's `note` package writes it, so either side can use the other's.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::rand::SecureRandom as _;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use signed_note::{Note, Signer, Verifier, VerifierList, key_id};
use tlog_tiles::Checkpoint;

use super::tree::Hash;

/// The signature type of Ed25519, in C2SP `signed-note`.
const ALGORITHM: u8 = 1;

#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    #[error("is no note key as it should be: NAME+HASH+KEY")]
    Key,
    #[error("is no signed note")]
    Note,
    #[error("is not signed by {key}: {why}")]
    Signature { key: String, why: String },
    #[error("is signed, and is no tlog-checkpoint")]
    Checkpoint,
    #[error("is the head of another log, \"{found}\", and not of \"{wanted}\"")]
    Origin { found: String, wanted: String },
    #[error("the kernel gives no random bytes")]
    Random,
}

/// A head: the tree of the first `size` entries has this root.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Head {
    pub size: u64,
    pub root: Hash,
}

/// The public half: who may be believed about this log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: [u8; 32],
}

impl PublicKey {
    /// `NAME+HASH+BASE64(0x01 ‖ key)`.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.trim_end().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key);
        };
        let bytes = BASE64_STANDARD.decode(key).map_err(|_| NoteError::Key)?;
        let (&algorithm, key) = bytes.split_first().ok_or(NoteError::Key)?;
        let key: [u8; 32] = key.try_into().map_err(|_| NoteError::Key)?;
        let right = id.len() == 8 && u32::from_str_radix(id, 16) == Ok(key_id(name, &bytes));
        match algorithm == ALGORITHM && right && signed_note::is_key_name_valid(name) {
            true => Ok(Self { name: name.to_owned(), key }),
            false => Err(NoteError::Key),
        }
    }

    /// The log's origin line, which is the key's name too.
    pub fn origin(&self) -> &str {
        &self.name
    }

    pub fn to_text(&self) -> String {
        format!("{}+{}+{}", self.name, self.id(), BASE64_STANDARD.encode(self.tagged()))
    }

    /// What tells it from other keys of the same name: the hash that its text and its signatures show.
    pub fn id(&self) -> String {
        format!("{:08x}", key_id(&self.name, &self.tagged()))
    }

    /// What a note says, if this key signed it.
    pub fn open(&self, note: &[u8]) -> Result<String, NoteError> {
        let note = Note::from_bytes(note).map_err(|_| NoteError::Note)?;
        let known = VerifierList::new(vec![Box::new(self.clone())]);
        let wrong =
            |why: signed_note::NoteError| NoteError::Signature { key: self.to_text(), why: why.to_string() };
        note.verify(&known).map_err(wrong)?;
        Ok(String::from_utf8_lossy(note.text()).into_owned())
    }

    /// The head that a checkpoint states.
    pub fn head(&self, checkpoint: &[u8]) -> Result<Head, NoteError> {
        let text = self.open(checkpoint)?;
        let checkpoint = Checkpoint::from_bytes(text.as_bytes()).map_err(|_| NoteError::Checkpoint)?;
        if checkpoint.origin() != self.name {
            return Err(NoteError::Origin { found: checkpoint.origin().into(), wanted: self.name.clone() });
        }
        Ok(Head { size: checkpoint.size(), root: *checkpoint.hash() })
    }

    fn tagged(&self) -> Vec<u8> {
        [&[ALGORITHM], self.key.as_slice()].concat()
    }
}

impl Verifier for PublicKey {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        key_id(&self.name, &self.tagged())
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.key).verify(message, signature).is_ok()
    }
}

/// The private half. It is never shown: not by `Debug`, not in an error.
pub struct SecretKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl SecretKey {
    /// A new key of that name, and its text, `PRIVATE+KEY+NAME+HASH+BASE64(0x01 ‖ seed)`.
    pub fn generate(name: &str) -> Result<(Self, String), NoteError> {
        let mut seed = [0; 32];
        ring::rand::SystemRandom::new().fill(&mut seed).map_err(|_| NoteError::Random)?;
        let key = Self::from_seed(name, &seed)?;
        let id = key.public.key_id();
        let tagged = BASE64_STANDARD.encode([&[ALGORITHM], seed.as_slice()].concat());
        Ok((key, format!("PRIVATE+KEY+{name}+{id:08x}+{tagged}\n")))
    }

    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let text = text.trim_end().strip_prefix("PRIVATE+KEY+").ok_or(NoteError::Key)?;
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key);
        };
        let bytes = BASE64_STANDARD.decode(key).map_err(|_| NoteError::Key)?;
        let Some((&ALGORITHM, seed)) = bytes.split_first() else { return Err(NoteError::Key) };
        let key = Self::from_seed(name, seed)?;
        match u32::from_str_radix(id, 16) == Ok(key.public.key_id()) {
            true => Ok(key),
            false => Err(NoteError::Key),
        }
    }

    fn from_seed(name: &str, seed: &[u8]) -> Result<Self, NoteError> {
        if !signed_note::is_key_name_valid(name) {
            return Err(NoteError::Key);
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteError::Key)?;
        let key = pair.public_key().as_ref().try_into().map_err(|_| NoteError::Key)?;
        Ok(Self { pair, public: PublicKey { name: name.to_owned(), key } })
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// A signed note with this text, whose every line must end in a newline.
    pub fn sign_text(&self, text: &str) -> Result<Vec<u8>, NoteError> {
        let mut note = Note::new(text.as_bytes(), &[]).map_err(|_| NoteError::Note)?;
        note.add_sigs(&[self]).map_err(|_| NoteError::Note)?;
        Ok(note.to_bytes())
    }

    pub fn checkpoint(&self, head: &Head) -> Result<Vec<u8>, NoteError> {
        let checkpoint = Checkpoint::new(&self.public.name, head.size, head.root, "");
        self.sign_text(&String::from_utf8_lossy(&checkpoint.map_err(|_| NoteError::Checkpoint)?.to_bytes()))
    }
}

impl Signer for SecretKey {
    fn name(&self) -> &str {
        &self.public.name
    }

    fn key_id(&self) -> u32 {
        self.public.key_id()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.pair.sign(message).as_ref().to_vec())
    }
}

/// A name for a new log: `provost/` and the node's name, made fit for a note.
pub fn origin() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let fit = |character: char| character.is_ascii_alphanumeric() || ".-_".contains(character);
    let name: String = name.chars().filter(|character| fit(*character)).take(64).collect();
    // Two nodes of one name are told apart, and a node keeps its name when it is installed anew.
    let machine = std::fs::read_to_string(Path::new("/etc/machine-id")).unwrap_or_default();
    let mark = super::tree::sha256_hex(format!("provost ledger {}", machine.trim()).as_bytes());
    format!("provost/{}-{}", if name.is_empty() { "node" } else { &name }, &mark[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_signs_what_its_public_half_accepts() {
        let (key, text) = SecretKey::generate("provost/pve1").unwrap();
        let again = SecretKey::parse(&text).unwrap();
        assert_eq!(key.public(), again.public());
        let public = PublicKey::parse(&key.public().to_text()).unwrap();
        let head = Head { size: 7, root: Hash([3; 32]) };
        let mut note = key.checkpoint(&head).unwrap();
        assert_eq!(public.head(&note).unwrap(), head);
        for place in 0..note.len() {
            note[place] ^= 1;
            assert!(public.head(&note).is_err(), "byte {place}");
            note[place] ^= 1;
        }
    }

    /// The package documentation of Go's `golang.org/x/mod/sumdb/note` has this key and this note.
    #[test]
    fn a_note_that_another_implementation_signed_is_accepted() {
        let key = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
        let key = SecretKey::parse(key).unwrap();
        assert_eq!(
            key.public().to_text(),
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
        );
        let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let note = format!(
            "{text}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
        );
        assert_eq!(key.public().open(note.as_bytes()).unwrap(), text);
        assert_eq!(key.sign_text(text).unwrap(), note.as_bytes());
    }

    #[test]
    fn the_origin_is_fit_for_a_key() {
        assert!(signed_note::is_key_name_valid(&origin()) && origin().starts_with("provost/"));
    }
}
