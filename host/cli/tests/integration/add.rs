//! `prunella plugin add`, `verify` and `remove` on files of strangers: each of
//! the hostile ones gets a clear sentence, and only what loads and answers is
//! installed.

#![allow(
    clippy::unwrap_used,
    reason = "in a test a panic is the report, also in what its cases share"
)]

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use prunella_hostile::gallery::{Gets, gallery};

/// A Prunella of its own. Below /root: /tmp itself can be written by everybody,
/// and nothing in it is trusted.
struct Place(tempfile::TempDir);

impl Place {
    fn new(main_file: &str) -> Self {
        let place = Self(
            tempfile::Builder::new()
                .permissions(fs::Permissions::from_mode(0o755))
                .tempdir_in("/root")
                .unwrap(),
        );
        fs::create_dir(place.path("etc")).unwrap();
        fs::create_dir(place.path("offer")).unwrap();
        fs::write(place.path("etc/prunella.toml"), main_file).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn installed(&self, name: &str) -> PathBuf {
        self.path("etc/plugins").join(name)
    }

    fn offered(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let file = self.path("offer").join(name);
        fs::write(&file, bytes).unwrap();
        file
    }

    fn prunella(&self, arguments: &[&str], last: &Path) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_prunella"))
            .arg("--config")
            .arg(self.path("etc"))
            .arg("--state-dir")
            .arg(self.path("state"))
            .arg("--run-dir")
            .arg(self.path("run"))
            .args(arguments)
            .arg(last)
            .env("COLUMNS", "500")
            .output()
            .unwrap();
        let all = [&output.stdout[..], &output.stderr[..]].concat();
        (output.status.code(), String::from_utf8(all).unwrap())
    }

    fn add(&self, file: &Path) -> (Option<i32>, String) {
        self.prunella(&["plugin", "add"], file)
    }

    /// What lies in the folder of plugins.
    fn all_installed(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path("etc/plugins"))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn the_whole_gallery() {
    let place = Place::new("signatures = \"off\"\n");
    let mut installed = Vec::new();
    for exhibit in gallery() {
        let file = place.offered(&format!("{}.wasm", exhibit.name), &exhibit.bytes);
        let (code, text) = place.add(&file);
        let told = format!("{}: {text}", exhibit.name);
        assert!(!text.contains("panicked"), "{told}");
        assert!(text.len() < 20_000, "{told}");
        let odd = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(odd), "control characters: {told:?}");
        if exhibit.gets == Gets::Loaded {
            assert_eq!(code, Some(0), "{told}");
            installed.push(format!("{}.toml", exhibit.name));
            installed.push(format!("{}.wasm", exhibit.name));
        } else {
            assert_eq!(code, Some(1), "{told}");
            assert!(text.contains("is not installed"), "{told}");
            assert!(text.contains(exhibit.said), "{told}");
        }
    }
    installed.sort();
    assert_eq!(place.all_installed(), installed);
    let (code, text) = place.prunella(&["plugin"], Path::new("verify"));
    assert_eq!(code, Some(0), "{text}");
}

/// The first one that would act, and the first that only looks.
fn one(acts: bool) -> Vec<u8> {
    if acts {
        prunella_hostile::HOSTILE.to_vec()
    } else {
        let loaded = gallery().into_iter().filter(|one| one.gets == Gets::Loaded);
        let engine = prunella_hostile::engine();
        loaded
            .map(|one| one.bytes)
            .find(|bytes| engine.inspect(bytes).unwrap().acts().is_empty())
            .unwrap()
    }
}

#[test]
fn by_default_what_acts_needs_somebody_who_vouches_for_it() {
    let place = Place::new("");
    let acts = place.offered("acts.wasm", &one(true));
    let (code, text) = place.add(&acts);
    assert_eq!(code, Some(1), "{text}");
    for part in ["nobody vouches for it", "may restart units", "sha256 = \""] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(place.all_installed(), Vec::<String>::new());

    // The operator's own word is enough.
    let sha256 = prunella_core::hash::sha256(&one(true));
    fs::write(
        place.path("etc/prunella.toml"),
        format!("[strategy.acts]\nsha256 = \"{sha256}\"\n"),
    )
    .unwrap();
    let (code, text) = place.add(&acts);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("[[strategy.acts.allow]]"), "{text}");

    // A service may name it before it is there.
    let services = place.path("etc/services.d");
    fs::create_dir(&services).unwrap();
    let service = "unit = \"a.service\"\nstrategies = [\"looks\"]\n";
    fs::write(services.join("a.toml"), service).unwrap();
    let looks = place.offered("looks.wasm", &one(false));
    let (code, text) = place.add(&looks);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("It only looks"), "{text}");

    for file in ["acts.wasm", "looks.wasm", "acts.toml"] {
        let found = fs::symlink_metadata(place.installed(file)).unwrap();
        assert_eq!((found.mode() & 0o7777, found.uid()), (0o644, 0), "{file}");
    }
    assert_eq!(fs::read(place.installed("acts.wasm")).unwrap(), one(true));
}

#[test]
fn only_warned_it_may_act_when_it_was_installed() {
    let place = Place::new("signatures = \"warn\"\n");
    let (code, text) = place.add(&place.offered("acts.wasm", &one(true)));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("it acts and is not signed"), "{text}");
    let verify = || place.prunella(&["plugin", "verify"], Path::new("acts"));
    assert_eq!(verify().0, Some(0), "{}", verify().1);

    // Past `plugin add`, other bytes may not.
    let mut other = one(true);
    other.extend([0, 2, 1, b'x']);
    fs::write(place.installed("acts.wasm"), other).unwrap();
    let (code, text) = verify();
    assert_eq!(code, Some(3), "{text}");
    assert!(
        text.contains("it is not what `prunella plugin add` installed"),
        "{text}"
    );
}

#[test]
fn a_link_in_its_place_is_replaced_and_not_followed() {
    let place = Place::new("");
    let looks = place.offered("looks.wasm", &one(false));
    let victim = place.path("victim");
    fs::write(&victim, "precious").unwrap();
    fs::create_dir(place.path("etc/plugins")).unwrap();
    symlink(&victim, place.installed("looks.wasm")).unwrap();
    symlink(&victim, place.installed("looks.toml")).unwrap();
    let (code, text) = place.add(&looks);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(!place.installed("looks.wasm").is_symlink());
}

#[test]
fn nothing_is_installed_where_others_can_write() {
    let place = Place::new("");
    let looks = place.offered("looks.wasm", &one(false));
    let folder = place.path("etc/plugins");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let (code, text) = place.add(&looks);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("chmod go-w"), "{text}");
    assert_eq!(place.all_installed(), Vec::<String>::new());
}

#[test]
fn a_component_without_a_usable_name_is_refused() {
    let place = Place::new("[strategy.elsewhere]\ncomponent = \"other.wasm\"\n");
    for (name, code, said) in [
        ("service-restart.wasm", 2, "its name is reserved"),
        ("Site Fix.wasm", 2, "is not a name"),
        ("elsewhere.wasm", 3, "prunella.toml:1"),
    ] {
        let (found, text) = place.add(&place.offered(name, &one(false)));
        assert_eq!(found, Some(code), "{name}: {text}");
        assert!(text.contains(said), "{name}: {text}");
    }
    let (code, text) = place.add(&place.path("offer"));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("there are 3 components"), "{text}");
    assert_eq!(place.all_installed(), Vec::<String>::new());
}

#[test]
fn a_removed_plugin_is_gone() {
    let place = Place::new("");
    place.add(&place.offered("looks.wasm", &one(false)));
    assert_eq!(place.all_installed(), ["looks.toml", "looks.wasm"]);
    let compiled = || fs::read_dir(place.path("state/cache")).unwrap().count();
    assert_eq!(compiled(), 1);
    let remove = |name: &str| place.prunella(&["plugin", "remove"], Path::new(name));
    assert_eq!(remove("looks").0, Some(0));
    assert_eq!(place.all_installed(), Vec::<String>::new());
    assert_eq!(compiled(), 0);
    for (name, code) in [("looks", 6), ("service-restart", 2), ("../x", 2)] {
        let (found, text) = remove(name);
        assert_eq!(found, Some(code), "{name}: {text}");
    }
}
