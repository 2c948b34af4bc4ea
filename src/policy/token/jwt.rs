//! The form of a token: a JSON Web Token, signed with Ed25519 (`EdDSA`, RFC 8037) and in no other way.
//!
//! The form is `jsonwebtoken`'s, the signature `ring`'s, which stands under everything else here too; that crate asks for
//! whoever signs by the interface below.

use std::sync::Once;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, crypto, decode, encode};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use signature::{Signer, Verifier};
use zeroize::Zeroizing;

use super::record::TokenId;

const ISSUER: &str = "provost";
/// Characters of a token that are looked at: ours have some 400.
const LONGEST: usize = 2048;

/// What a token says. All of it is needed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    /// `token:ID`
    pub sub: String,
    /// Tells apart the forms of one token.
    pub jti: String,
    /// Seconds since 1970.
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
}

/// Why a token opens nothing. Said to whoever shows it: only who has the key can find anything out by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("no token was shown")]
    Missing,
    #[error("this is no token of this node's: {0}")]
    Malformed(&'static str),
    #[error("the token is signed otherwise than with EdDSA")]
    Algorithm,
    #[error("the token's signature is not this node's")]
    Signature,
    #[error("the token is for somebody else than this node")]
    Audience,
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the token has expired")]
    Expired,
    #[error("no such token is known here (any more)")]
    Unknown,
    #[error("the token was revoked")]
    Revoked,
    #[error("which tokens there are cannot be read: {0}")]
    Unreadable(String),
}

impl Rejected {
    /// A short name that programs can compare.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "token_missing",
            Self::Malformed(_) => "token_malformed",
            Self::Algorithm => "token_algorithm",
            Self::Signature => "token_signature",
            Self::Audience => "token_audience",
            Self::NotYet => "token_not_yet",
            Self::Expired => "token_expired",
            Self::Unknown => "token_unknown",
            Self::Revoked => "token_revoked",
            Self::Unreadable(_) => "tokens_unreadable",
        }
    }

    /// What to do about it.
    pub fn next(&self) -> &'static str {
        match self {
            Self::Missing => {
                "send it in the header Authorization: Bearer TOKEN; an operator gives one out: provost token issue"
            }
            Self::NotYet => "wait, or set the clock",
            Self::Unreadable(_) => "an operator finds out more: journalctl -t provost",
            _ => "an operator gives out another: provost token issue",
        }
    }
}

/// What a token's header says that it is. What else is signed with the key says otherwise, and opens nothing.
const TOKEN: &str = "JWT";

/// A JSON Web Signature (RFC 7515) without what was signed: that lies beside it.
#[derive(Debug, Clone)]
pub struct Attested {
    /// The header, as it was signed.
    pub protected: String,
    pub signature: String,
}

/// The half of the key that everybody may have, as a JSON Web Key has it (RFC 8037).
#[derive(Debug, Clone)]
pub struct PublicKey {
    /// Its thumbprint (RFC 7638).
    pub kid: String,
    pub x: String,
}

/// Who signs.
pub struct Key {
    /// PKCS#8.
    private: Zeroizing<Vec<u8>>,
    public: Vec<u8>,
}

impl Key {
    /// None: the kernel gave no random bits.
    pub fn generate() -> Option<Self> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).ok()?;
        Self::of(document.as_ref().to_vec())
    }

    /// Of what [`Key::private`] gave.
    pub fn of(private: Vec<u8>) -> Option<Self> {
        let private = Zeroizing::new(private);
        let public = Ed25519KeyPair::from_pkcs8(&private).ok()?.public_key().as_ref().to_vec();
        Some(Self { private, public })
    }

    /// For its file, and nothing else.
    pub fn private(&self) -> &[u8] {
        &self.private
    }

    pub fn sign(&self, claims: &Claims) -> Option<String> {
        install();
        let key = EncodingKey::from_ed_der(&self.private);
        encode(&Header { typ: Some(TOKEN.into()), ..Header::new(Algorithm::EdDSA) }, claims, &key).ok()
    }

    /// Signs something that is no token. `jku` is where [`Key::public_key`] is published.
    pub fn attest(&self, payload: &[u8], jku: &str) -> Option<Attested> {
        install();
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some("JOSE".into());
        header.kid = Some(self.public_key().kid);
        header.jku = Some(jku.to_owned());
        let protected = BASE64.encode(serde_json::to_vec(&header).ok()?);
        let signed = format!("{protected}.{}", BASE64.encode(payload));
        let key = EncodingKey::from_ed_der(&self.private);
        let signature = crypto::sign(signed.as_bytes(), &key, Algorithm::EdDSA).ok()?;
        Some(Attested { protected, signature })
    }

    pub fn public_key(&self) -> PublicKey {
        let x = BASE64.encode(&self.public);
        let members = format!("{{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"{x}\"}}");
        PublicKey { kid: BASE64.encode(digest(&SHA256, members.as_bytes())), x }
    }

    /// What a token says, where it is whole, this node's, and of this moment.
    pub fn open(&self, token: &str, audience: &str) -> Result<Claims, Rejected> {
        install();
        if token.len() > LONGEST {
            return Err(Rejected::Malformed("it is too long"));
        }
        let mut wanted = Validation::new(Algorithm::EdDSA);
        wanted.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
        wanted.set_audience(&[audience]);
        wanted.set_issuer(&[ISSUER]);
        wanted.validate_nbf = true;
        // The clock that is looked at is the one that it was made by.
        wanted.leeway = 0;
        let key = DecodingKey::from_ed_der(&self.public);
        let opened = decode::<Claims>(token, &key, &wanted).map_err(|error| rejected(&error))?;
        // What else it says must be understood (RFC 7515, 4.1.11): nothing of that kind is, here.
        if opened.header.crit.is_some() {
            return Err(Rejected::Malformed("it asks for what is not known here"));
        }
        // The library takes it for as long as that second lasts, and RFC 7519, 4.1.4, not any more in it.
        if opened.claims.exp <= jiff::Timestamp::now().as_second() {
            return Err(Rejected::Expired);
        }
        match opened.header.typ.as_deref() {
            Some(TOKEN) => Ok(opened.claims),
            _ => Err(Rejected::Malformed("it says that it is something else")),
        }
    }
}

impl Claims {
    pub fn new(id: TokenId, form: u64, audience: &str, from: i64, until: i64, now: i64) -> Self {
        Self {
            iss: ISSUER.into(),
            aud: audience.into(),
            sub: format!("token:{id}"),
            jti: format!("{id}-{form}"),
            iat: now,
            nbf: from,
            exp: until,
        }
    }
}

fn rejected(error: &Error) -> Rejected {
    match error.kind() {
        ErrorKind::ExpiredSignature => Rejected::Expired,
        ErrorKind::ImmatureSignature => Rejected::NotYet,
        ErrorKind::InvalidAudience => Rejected::Audience,
        ErrorKind::InvalidIssuer => Rejected::Audience,
        ErrorKind::InvalidSignature => Rejected::Signature,
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => Rejected::Algorithm,
        // A name that the library does not know, as "none", is no header to it.
        ErrorKind::Json(_) => Rejected::Malformed("its header or its claims are not as they should be"),
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => {
            Rejected::Malformed("a claim is missing, or is not as it should be")
        }
        _ => Rejected::Malformed("it is no JSON Web Token"),
    }
}

/// Has `jsonwebtoken` sign by `ring`.
fn install() {
    static ONCE: Once = Once::new();
    static RING: CryptoProvider = CryptoProvider {
        signer_factory: |algorithm, key| {
            let pair = match algorithm {
                Algorithm::EdDSA => Ed25519KeyPair::from_pkcs8(key.as_bytes()),
                _ => return Err(ErrorKind::InvalidAlgorithm.into()),
            };
            Ok(Box::new(Signs(pair.map_err(|_| Error::from(ErrorKind::InvalidEddsaKey))?)))
        },
        verifier_factory: |algorithm, key| match algorithm {
            Algorithm::EdDSA => Ok(Box::new(Verifies(key.try_get_as_bytes()?.to_vec()))),
            _ => Err(ErrorKind::InvalidAlgorithm.into()),
        },
        key_utils: KeyUtils::new_unimplemented(),
    };
    ONCE.call_once(|| {
        let _ = RING.install_default();
    });
}

struct Signs(Ed25519KeyPair);

impl Signer<Vec<u8>> for Signs {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for Signs {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct Verifies(Vec<u8>);

impl Verifier<Vec<u8>> for Verifies {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let key = UnparsedPublicKey::new(&ED25519, &self.0);
        key.verify(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Verifies {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}
