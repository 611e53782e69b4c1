//! Passwords of people, and what is stored of them.
//!
//! What a password has to be follows NIST SP 800-63B, section 3.1.1: long enough, any characters, no rules about
//! their mixture, no expiry. It is stored as Argon2id (RFC 9106) with the parameters that OWASP's cheat sheet on
//! password storage recommends, as a PHC string, which carries its own salt and parameters: these can be raised
//! without making a stored hash worthless.
//!
//! One computation takes 19 MiB and tens of milliseconds, by design. It belongs in [`crate::hasher`], which bounds
//! how many run at once. A sign-in for a user that does not exist costs the same as any other: see [`verify`].

use std::fmt;
use std::hint::black_box;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};

use super::environment::{Entropy, EntropyError};

/// The fewest characters of a password that is chosen.
pub const PASSWORD_CHARACTERS_MIN: usize = 12;
/// The most characters of a password. It bounds what is hashed.
pub const PASSWORD_CHARACTERS_MAX: usize = 256;

/// A shorter name than this is within too many good passwords to be held against them.
const NAME_CHARACTERS_MIN: usize = 4;
/// Memory of one computation.
const MEMORY_KIB: u32 = 19_456;
/// Passes over that memory.
const PASSES: u32 = 2;
/// Lanes that could be computed in parallel.
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// The salt of computations whose result nobody looks at.
const DECOY_SALT: [u8; SALT_BYTES] = [0; SALT_BYTES];

/// A password in the clear: one that is chosen, or one that is presented. Nothing lets the text out.
#[derive(Clone)]
pub struct Password(String);

/// Why a text is no password. Says nothing about the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too few characters.
    #[error("a password has at least {PASSWORD_CHARACTERS_MIN} characters")]
    Short,
    /// Too many characters.
    #[error("a password has at most {PASSWORD_CHARACTERS_MAX} characters")]
    Long,
    /// Too few characters, unless the user's own name counts.
    #[error("the user's own name does not count: {PASSWORD_CHARACTERS_MIN} other characters are needed")]
    Name,
}

impl Password {
    /// A new password of the user called `name`. The name, in any case, does not count towards the length.
    pub fn choose(text: String, name: &str) -> Result<Self, PasswordError> {
        let password = Self::present(text)?;
        if password.0.chars().count() < PASSWORD_CHARACTERS_MIN {
            return Err(PasswordError::Short);
        }
        let name = name.to_lowercase();
        if name.chars().count() >= NAME_CHARACTERS_MIN {
            let without = password.0.to_lowercase().replace(&name, "");
            if without.chars().count() < PASSWORD_CHARACTERS_MIN {
                return Err(PasswordError::Name);
            }
        }
        Ok(password)
    }

    /// A password with which somebody wants to sign in. One that could not be chosen is still put to the test, so
    /// that the time of an answer says nothing; one that is too long is not, whoever it is for.
    pub fn present(text: String) -> Result<Self, PasswordError> {
        let fits = text.chars().take(PASSWORD_CHARACTERS_MAX + 1).count() <= PASSWORD_CHARACTERS_MAX;
        if fits { Ok(Self(text)) } else { Err(PasswordError::Long) }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// What is stored of a password: a PHC string, `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(phc::PasswordHash);

/// A stored text is no hash of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an Argon2id hash in PHC format")]
pub struct PasswordHashError;

/// Why a password was not hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// There is no salt.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The algorithm refused its parameters.
    #[error("the password could not be hashed")]
    Computation,
}

impl PasswordHash {
    /// Reads what was stored.
    pub fn parse(text: &str) -> Result<Self, PasswordHashError> {
        let hash = phc::PasswordHash::new(text).map_err(|_| PasswordHashError)?;
        let complete = hash.salt.is_some() && hash.hash.is_some() && Params::try_from(&hash).is_ok();
        (hash.algorithm == Algorithm::Argon2id.ident() && complete).then_some(Self(hash)).ok_or(PasswordHashError)
    }

    /// The text to store.
    pub fn to_phc(&self) -> String {
        self.0.to_string()
    }
}

/// It is no password, but with a guess it can be checked without asking us.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// Hashes a password with a new salt. Tens of milliseconds.
pub fn hash(password: &Password, entropy: &Entropy) -> Result<PasswordHash, HashError> {
    let salt = entropy.bytes::<SALT_BYTES>()?;
    let hashed = algorithm().and_then(|argon2| argon2.hash_password_with_salt(password.0.as_bytes(), &salt).ok());
    hashed.map(PasswordHash).ok_or(HashError::Computation)
}

/// Whether `password` is the one that was hashed. Tens of milliseconds, and as many without a hash: whoever asks
/// for a user that does not exist passes None, and the answer is false after the same work.
pub fn verify(password: &Password, hash: Option<&PasswordHash>) -> bool {
    match (hash, algorithm()) {
        (Some(hash), Some(argon2)) => argon2.verify_password(password.0.as_bytes(), &hash.0).is_ok(),
        (None, Some(argon2)) => {
            let mut ignored = [0; HASH_BYTES];
            // Nobody looks at the result, so the compiler has to be told that somebody might.
            let _ = black_box(argon2.hash_password_into(password.0.as_bytes(), &DECOY_SALT, &mut ignored));
            black_box(ignored);
            false
        }
        (_, None) => false,
    }
}

/// None if the parameters were out of the algorithm's range, which a test excludes.
fn algorithm() -> Option<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests;
