//! Secrets that are made here: keys, links, sessions, and what belongs to a session.

use prunella_core::hash::{hexadecimal, sha256};

/// What every key begins with, so that one is known for what it is wherever it turns up.
const KEY_PREFIX: &str = "prunella_";

/// The longest secret that is looked at, in bytes.
pub(crate) const MAX: usize = 200;

/// A new secret of 256 bits, in hexadecimal.
///
/// # Errors
/// When the kernel gives no random numbers.
pub fn secret() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(hexadecimal(&bytes))
}

/// A new key.
///
/// # Errors
/// When the kernel gives no random numbers.
pub fn key() -> Result<String, getrandom::Error> {
    Ok(format!("{KEY_PREFIX}{}", secret()?))
}

/// What of a secret is kept, and compared. The secrets are random and long: nobody finds one
/// by trying, so nothing slower is needed.
pub fn hash(secret: &str) -> String {
    sha256(secret.as_bytes())
}

/// The CSRF token of a session: whoever knows the session can tell it, and it does not tell
/// the session.
pub(crate) fn csrf_token(session: &str) -> String {
    sha256(format!("prunella csrf token of {session}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same_and_hashes_tell_them_apart() {
        let (one, other) = (key().unwrap(), key().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), KEY_PREFIX.len() + 64);
        assert!(one.len() <= MAX);
        assert_ne!(hash(&one), hash(&other));
        assert_eq!(hash(&one), hash(&one.clone()));
        assert_ne!(csrf_token(&one), hash(&one));
    }
}
