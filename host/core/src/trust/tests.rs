//! Signatures as the real minisign makes them, and every way in which one is
//! not what it should be.

use std::{collections::BTreeMap, fs, path::Path, process::Command, sync::LazyLock};

use rstest::rstest;

use super::*;
use crate::StrategyName;

const WASM: &[u8] = b"the bytes of a component";
const COMMENT: &str = "prunella strategy site-fix 1.2.0";

/// Two keys of minisign's, and a folder to sign in.
struct Minisign(tempfile::TempDir);

static MINISIGN: LazyLock<Minisign> = LazyLock::new(|| {
    let minisign = Minisign(tempfile::tempdir().unwrap());
    for key in ["ours", "other"] {
        minisign.run(&[
            "-G",
            "-W",
            "-p",
            &minisign.public(key),
            "-s",
            &minisign.secret(key),
        ]);
    }
    minisign
});

impl Minisign {
    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn public(&self, key: &str) -> String {
        self.path(&format!("{key}.pub"))
    }

    fn secret(&self, key: &str) -> String {
        self.path(&format!("{key}.key"))
    }

    fn run(&self, arguments: &[&str]) {
        let output = Command::new("minisign")
            .args(arguments)
            .output()
            .expect("minisign is installed by `cargo xtask setup`");
        assert!(output.status.success(), "{output:?}");
    }

    /// A signature, made with further options.
    fn sign(&self, key: &str, bytes: &[u8], comment: &str, options: &[&str]) -> String {
        let folder = tempfile::tempdir_in(self.0.path()).unwrap();
        let file = folder.path().join("x.wasm");
        fs::write(&file, bytes).unwrap();
        let file = file.to_str().unwrap();
        let secret = self.secret(key);
        let mut arguments = vec!["-S", "-s", &secret, "-m", file, "-t", comment];
        arguments.extend(options);
        self.run(&arguments);
        fs::read_to_string(Path::new(&format!("{file}.minisig"))).unwrap()
    }

    /// A key as the operator trusts it.
    fn trusted(&self, key: &str, names: &[&str]) -> TrustedKey {
        let text = fs::read_to_string(self.public(key)).unwrap();
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        TrustedKey::new(
            key.to_owned(),
            text.lines().nth(1).unwrap(),
            "a key of a test".to_owned(),
            names,
        )
        .unwrap()
    }
}

fn keys(keys: &[TrustedKey]) -> BTreeMap<String, TrustedKey> {
    keys.iter()
        .map(|key| (key.name.clone(), key.clone()))
        .collect()
}

fn name(name: &str) -> StrategyName {
    StrategyName::new(name).unwrap()
}

#[test]
fn a_good_signature_tells_who_and_which_version() {
    let signature = MINISIGN.sign("ours", WASM, COMMENT, &[]);
    let trusted = keys(&[
        MINISIGN.trusted("other", &["*"]),
        MINISIGN.trusted("ours", &["site-*"]),
    ]);
    let signed = verify(&name("site-fix"), WASM, &signature, &trusted).unwrap();
    assert_eq!(signed.version, Version::new(1, 2, 0));
    assert_eq!(signed.key, "ours");
    assert_eq!(
        signed.to_string(),
        "version 1.2.0 by `ours` (a key of a test)"
    );
}

#[rstest]
#[case::another_key("other", COMMENT, &[], "none of the trusted keys made it")]
#[case::another_name("ours", "prunella strategy shop-fix 1.2.0", &[], "a signature of `shop-fix`, and this is `site-fix`")]
#[case::no_version("ours", "prunella strategy site-fix latest", &[], "has `latest` for a version")]
#[case::half_a_version("ours", "prunella strategy site-fix 1.2", &[], "has `1.2` for a version")]
#[case::more_than_a_version("ours", "prunella strategy site-fix 1.2.0 yes", &[], "has `1.2.0 yes` for a version")]
#[case::minisigns_own_comment("ours", "timestamp:1760000000\tfile:site-fix.wasm\thashed", &[], "should be `prunella strategy NAME VERSION`")]
#[case::nothing_in_it("ours", "", &[], "should be `prunella strategy NAME VERSION`")]
#[case::legacy("ours", COMMENT, &["-l"], "legacy format")]
fn it_does_not_count(
    #[case] key: &str,
    #[case] comment: &str,
    #[case] options: &[&str],
    #[case] said: &str,
) {
    let signature = MINISIGN.sign(key, WASM, comment, options);
    let trusted = keys(&[MINISIGN.trusted("ours", &["site-*"])]);
    let error = verify(&name("site-fix"), WASM, &signature, &trusted).unwrap_err();
    assert!(error.to_string().contains(said), "{error}");
}

#[test]
fn a_change_after_signing_is_found() {
    let trusted = keys(&[MINISIGN.trusted("ours", &["site-*"])]);
    let site_fix = name("site-fix");
    let good = MINISIGN.sign("ours", WASM, COMMENT, &[]);
    let tampered = Err(SignatureError::Tampered {
        key: "ours".to_owned(),
    });

    assert_eq!(verify(&site_fix, b"other bytes", &good, &trusted), tampered);
    let newer = good.replace("1.2.0", "9.9.9");
    assert_ne!(newer, good);
    assert_eq!(verify(&site_fix, WASM, &newer, &trusted), tampered);

    // Comments that nobody signed do not matter.
    let renamed: String = good
        .lines()
        .enumerate()
        .map(|(number, line)| match number {
            0 => "untrusted comment: who knows\n".to_owned(),
            _ => format!("{line}\n"),
        })
        .collect();
    assert!(verify(&site_fix, WASM, &renamed, &trusted).is_ok());

    for cut in (0..good.len()).step_by(7) {
        let error = verify(&site_fix, WASM, &good[..cut], &trusted).unwrap_err();
        assert_eq!(error, SignatureError::Format, "{cut} bytes of it");
    }
}

#[test]
fn a_key_signs_only_the_names_it_may() {
    let signature = MINISIGN.sign("ours", WASM, COMMENT, &[]);
    let site_fix = name("site-fix");
    let may = |names: &[&str]| {
        let trusted = keys(&[MINISIGN.trusted("ours", names)]);
        verify(&site_fix, WASM, &signature, &trusted)
    };
    assert!(may(&["site-fix"]).is_ok());
    assert!(may(&["shop-*", "site-*"]).is_ok());
    let error = may(&["shop-*"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the key `ours` may sign `shop-*`, and not `site-fix`; add the name to `names` in \
         keys/ours.toml if it may"
    );
    assert!(may(&[]).is_err());
}

#[rstest]
#[case("")]
#[case("RWQ")]
#[case("not base64 at all, but as long as a key would be, quite!")]
#[case("untrusted comment: minisign public key")]
fn that_is_no_key(#[case] text: &str) {
    let key = TrustedKey::new("a".to_owned(), text, String::new(), Vec::new());
    assert_eq!(key, Err(KeyError::Encoding));
}

fn good(version: &str) -> Signature {
    Signature::Good(Signed {
        version: Version::parse(version).unwrap(),
        key: "ours".to_owned(),
        comment: String::new(),
    })
}

fn bad() -> Signature {
    Signature::Bad(SignatureError::Tampered {
        key: "ours".to_owned(),
    })
}

const UNKNOWN: Signature = Signature::Bad(SignatureError::UnknownKey);

use SignaturePolicy::{Off, Required, Warn};

/// `a` is the hash of the bytes in question.
#[rstest]
#[case::nothing(None, None, Signature::Absent, Required, "unsigned")]
#[case::by_hand(Some("a"), None, Signature::Absent, Required, "by hand")]
#[case::by_hand_whatever_is_signed(Some("a"), None, bad(), Required, "by hand")]
#[case::by_hand_other_bytes(Some("b"), None, Signature::Absent, Off, "other bytes")]
#[case::by_hand_is_the_last_word(Some("b"), Some("a"), good("1.2.0"), Required, "other bytes")]
#[case::signed(None, None, good("1.2.0"), Required, "signed")]
#[case::signed_and_the_same_version(None, None, good("1.1.0"), Required, "signed")]
#[case::signed_and_older(None, Some("a"), good("1.0.9"), Warn, "older")]
#[case::badly_signed(None, Some("a"), bad(), Required, "bad signature")]
#[case::badly_signed_and_only_warned(None, Some("a"), bad(), Warn, "bad signature")]
#[case::signed_by_nobody_we_know(None, Some("a"), UNKNOWN, Required, "bad signature")]
#[case::by_nobody_we_know_and_warned(None, Some("a"), UNKNOWN, Warn, "installed")]
#[case::installed_is_not_signed(None, Some("a"), Signature::Absent, Required, "unsigned")]
#[case::installed_and_warned(None, Some("a"), Signature::Absent, Warn, "installed")]
#[case::installed_and_off(None, Some("a"), Signature::NotLookedAt, Off, "installed")]
#[case::replaced_and_warned(None, Some("b"), Signature::Absent, Warn, "not installed")]
#[case::replaced_and_off(None, Some("b"), Signature::NotLookedAt, Off, "not installed")]
#[case::dropped_in_and_off(None, None, Signature::NotLookedAt, Off, "not installed")]
fn rights(
    #[case] by_hand: Option<&str>,
    #[case] installed: Option<&str>,
    #[case] signature: Signature,
    #[case] policy: SignaturePolicy,
    #[case] expected: &str,
) {
    let right = right_to_act(&Evidence {
        sha256: "a",
        by_hand,
        installed,
        signature: &signature,
        highest: Some(&Version::new(1, 1, 0)),
        policy,
    });
    let word = match right {
        Ok(Right::ByHand) => "by hand",
        Ok(Right::Signed) => "signed",
        Ok(Right::Installed) => "installed",
        Err(NoRight::OtherBytes { .. }) => "other bytes",
        Err(NoRight::BadSignature(_)) => "bad signature",
        Err(NoRight::Older { .. }) => "older",
        Err(NoRight::Unsigned { .. }) => "unsigned",
        Err(NoRight::NotInstalled { .. }) => "not installed",
    };
    assert_eq!(word, expected);
}
