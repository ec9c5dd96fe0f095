//! Any text as the configuration: up to the first line `---` as `prunella.toml`,
//! the rest as a file of services. It is read, or refused with mistakes that can
//! be shown and that lie within the files.

#![no_main]

use std::{fs, path::Path, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use prunella_config::Config;
use tempfile::TempDir;

/// In memory where there is such a place.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        TempDir::new_in(memory)
    } else {
        TempDir::new()
    };
    let folder = folder.expect("a folder");
    fs::create_dir(folder.path().join("services.d")).expect("a folder for services");
    folder
});

const SEPARATOR: &[u8] = b"\n---\n";

fuzz_target!(|bytes: &[u8]| {
    let place = bytes
        .windows(SEPARATOR.len())
        .position(|window| window == SEPARATOR);
    let (main, services) = match place {
        Some(place) => (&bytes[..=place], &bytes[place + SEPARATOR.len()..]),
        None => (bytes, &b""[..]),
    };
    let folder = FOLDER.path();
    fs::write(folder.join("prunella.toml"), main).expect("a file");
    fs::write(folder.join("services.d/fuzzed.toml"), services).expect("a file");

    let loaded = Config::load(folder);
    assert_eq!(loaded.config.is_some(), loaded.errors().next().is_none());
    for found in &loaded.diagnostics {
        assert!(!found.to_string().is_empty());
        assert!(!found.coloured().is_empty());
        if let Some(place) = &found.place {
            let text = if found.file.ends_with("prunella.toml") {
                main
            } else {
                services
            };
            let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
            assert!((1..=lines).contains(&(place.line)), "{found}");
        }
    }
});
