//! Reads `keys/*.toml`: whose signatures of strategies count, and for which
//! names.
//!
//! ```toml
//! # keys/acme.toml
//! key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
//! comment = "Acme's release key"
//! names = ["acme-*"]
//! ```

use toml::de::DeTable;

use super::reader::{Reader, Section};
use prunella_core::{text::one_line, trust::TrustedKey};

/// Reads one file; `stem` is the key's name.
pub(super) fn read<'t>(
    reader: &mut Reader<'_>,
    table: &'t DeTable<'t>,
    stem: &str,
) -> Option<TrustedKey> {
    let top = Section {
        table,
        name: "a key's file",
    };
    reader.only(top, &["key", "comment", "names"]);
    let comment = reader.text(top, "comment", "Acme's release key");
    let names = names(reader, top);
    for key in ["key", "names"] {
        if !table.contains_key(key) {
            reader.error_help(
                0..0,
                format!("a key's file has a `{key}`, and this has none"),
                match key {
                    "key" => "take it from the second line of minisign.pub",
                    _ => "say which strategies it may sign, such as names = [\"acme-*\"]",
                },
            );
        }
    }
    let (key, span) = reader.text(top, "key", "RWQf6LRCGA9i53ml…")?;
    let comment = comment.map_or("", |(text, _)| text).to_owned();
    match TrustedKey::new(stem.to_owned(), key, comment, names) {
        Ok(key) => Some(key),
        Err(error) => {
            reader.error_help(
                span,
                format!("this is no key: {error}"),
                "take the second line of minisign.pub: 56 characters that begin with `RW`",
            );
            None
        }
    }
}

fn names(reader: &mut Reader<'_>, top: Section<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for (text, span) in reader.texts(top, "names", "\"acme-*\"") {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-*?".contains(&b);
        if text.is_empty() || !text.bytes().all(fits) {
            reader.error_help(
                span,
                format!("no strategy can have a name like `{}`", one_line(text, 60)),
                "names have lower-case letters, digits and `-`; `*` stands for any text",
            );
            continue;
        }
        names.push(text.to_owned());
    }
    names
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use crate::Config;
    use prunella_core::StrategyName;

    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    fn load(text: &str) -> crate::Loaded {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("keys")).unwrap();
        fs::write(folder.path().join("keys/acme.toml"), text).unwrap();
        Config::load(folder.path())
    }

    #[test]
    fn a_key_for_some_names() {
        let loaded = load(&format!(
            "key = \"{KEY}\"\ncomment = \"Acme\"\nnames = [\"acme-*\", \"site-fix\"]\n"
        ));
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        let config = loaded.config.unwrap();
        let key = config.keys.get("acme").unwrap();
        assert_eq!(key.comment, "Acme");
        let may = |name: &str| key.may_sign(&StrategyName::new(name).unwrap());
        assert!(may("acme-cache") && may("site-fix"));
        assert!(!may("site-fix-2") && !may("my-acme-cache"));
    }

    #[rstest]
    #[case::nothing("", "a key's file has a `key`, and this has none")]
    #[case::no_names("key = \"K\"", "a key's file has a `names`, and this has none")]
    #[case::no_key("key = \"RWQ\"\nnames = [\"a\"]", "keys/acme.toml:1:7")]
    #[case::what_to_take(
        "key = \"RWQ\"\nnames = [\"a\"]",
        "take the second line of minisign.pub"
    )]
    #[case::a_name_that_cannot_be("key = \"K\"\nnames = [\"A b\"]", "keys/acme.toml:2:10")]
    #[case::a_slip("key = \"K\"\nname = [\"a\"]", "did you mean `names`?")]
    fn mistakes(#[case] text: &str, #[case] said: &str) {
        let loaded = load(&text.replace("\"K\"", &format!("\"{KEY}\"")));
        assert!(loaded.config.is_none());
        let shown: Vec<String> = loaded.errors().map(ToString::to_string).collect();
        assert!(shown.iter().any(|text| text.contains(said)), "{shown:#?}");
    }
}
