//! The signature of Standard Webhooks: who sent it, when, and that nobody
//! changed it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use prunella_core::secret::Secret;
use sha2::Sha256;

/// Before the key in base64.
const PREFIX: &str = "whsec_";

/// What mends a key that is none.
const MAKE_ONE: &str = "make one with `echo whsec_$(openssl rand -base64 32)`";

/// The value of `webhook-signature`: one signature for each line of `secrets`,
/// so that a receiver can be given a new key while it still knows the old one.
///
/// # Errors
/// What is wrong with a key, without a word of it.
pub(super) fn sign(
    secrets: &Secret,
    id: &str,
    timestamp: i64,
    body: &[u8],
) -> Result<String, String> {
    let mut signatures = Vec::new();
    for secret in secrets.reveal().lines().map(str::trim) {
        let key = key(secret)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key)
            .map_err(|_| "the key of the signature has an impossible length".to_owned())?;
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        signatures.push(format!("v1,{signature}"));
    }
    Ok(signatures.join(" "))
}

/// What is wrong with the keys that stand in `secrets`, without a word of them.
pub(super) fn wrong_with(secrets: &Secret) -> Option<String> {
    let mut lines = secrets.reveal().lines().map(str::trim);
    lines.find_map(|secret| key(secret).err())
}

/// The key's bytes: 24 to 64, as the specification wants them.
fn key(secret: &str) -> Result<Vec<u8>, String> {
    let encoded = secret.strip_prefix(PREFIX).unwrap_or(secret);
    let key = STANDARD.decode(encoded).map_err(|_| {
        format!("the key of the signature is not base64 after `whsec_`: {MAKE_ONE}")
    })?;
    if !(24..=64).contains(&key.len()) {
        return Err(format!(
            "the key of the signature has {} bytes, and should have 24 to 64: {MAKE_ONE}",
            key.len()
        ));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// The vector of the specification's own libraries.
    #[test]
    fn the_specification_s_vector() {
        let signature = sign(
            &Secret::new(KEY),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(
            signature.unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn the_prefix_may_be_missing_and_two_keys_sign_twice() {
        let one = sign(&Secret::new(KEY), "a", 1, b"x").unwrap();
        let bare = KEY.strip_prefix(PREFIX).unwrap();
        assert_eq!(sign(&Secret::new(bare), "a", 1, b"x").unwrap(), one);
        let both = sign(&Secret::new(&format!("{KEY}\n{KEY}\n")), "a", 1, b"x").unwrap();
        assert_eq!(both, format!("{one} {one}"));
        // Each part of what is signed counts.
        for other in [
            sign(&Secret::new(KEY), "b", 1, b"x"),
            sign(&Secret::new(KEY), "a", 2, b"x"),
            sign(&Secret::new(KEY), "a", 1, b"y"),
        ] {
            assert_ne!(other.unwrap(), one);
        }
    }

    #[test]
    fn a_bad_key_is_not_shown() {
        for bad in ["whsec_hunter2!", "whsec_aHVudGVyMg=="] {
            let error = sign(&Secret::new(bad), "a", 1, b"x").unwrap_err();
            assert!(
                !error.contains("hunter2") && !error.contains("aHVudGVy"),
                "{error}"
            );
        }
    }
}
