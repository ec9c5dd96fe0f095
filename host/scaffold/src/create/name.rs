//! The name of a new strategy, as all its languages can have it.

use prunella_core::{StrategyName, policy::BUILTIN_STRATEGIES};

use crate::{CreateError, Language};

/// Words that cargo refuses as a package's name, or that shadow what the
/// template itself needs.
const OF_RUST: [&str; 12] = [
    "alloc",
    "build",
    "core",
    "deps",
    "examples",
    "incremental",
    "prunella-sdk",
    "proc-macro",
    "self",
    "std",
    "super",
    "test",
];

/// Rust's keywords, beside those.
const KEYWORDS: [&str; 47] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized",
    "use", "virtual", "where",
];

/// The words of WIT, which a package of it cannot be called by.
const OF_WIT: [&str; 43] = [
    "as",
    "async",
    "bool",
    "borrow",
    "char",
    "constructor",
    "enum",
    "error-context",
    "export",
    "f32",
    "f64",
    "flags",
    "float32",
    "float64",
    "from",
    "func",
    "future",
    "import",
    "include",
    "interface",
    "list",
    "map",
    "option",
    "own",
    "package",
    "record",
    "resource",
    "result",
    "s16",
    "s32",
    "s64",
    "s8",
    "static",
    "stream",
    "string",
    "tuple",
    "type",
    "u16",
    "u32",
    "u64",
    "u8",
    "use",
    "variant",
];

/// Checks that a strategy may be called so, and a package in `language` too.
/// A WIT name is words with one `-` between them, each beginning with a letter.
pub(super) fn check(name: &str, language: Language) -> Result<(), CreateError> {
    let words = name.split('-');
    let is_word = |word: &str| word.starts_with(|c: char| c.is_ascii_lowercase());
    if StrategyName::new(name).is_err() || !words.clone().all(is_word) {
        return Err(CreateError::Name {
            name: name.to_owned(),
        });
    }
    if BUILTIN_STRATEGIES.contains(&name) {
        return Err(CreateError::Builtin {
            name: name.to_owned(),
        });
    }
    let (taken, of): (bool, _) = match language {
        Language::Rust => (OF_RUST.contains(&name) || KEYWORDS.contains(&name), "Rust"),
        Language::C | Language::Python | Language::JavaScript => (OF_WIT.contains(&name), "WIT"),
    };
    if taken {
        return Err(CreateError::Reserved {
            name: name.to_owned(),
            language: of,
        });
    }
    Ok(())
}

/// `cache_guard`.
pub(super) fn snake_case(name: &str) -> String {
    name.replace('-', "_")
}

/// `CacheGuard`.
pub(super) fn camel_case(name: &str) -> String {
    name.split('-')
        .flat_map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|c| c.to_ascii_uppercase());
            first.into_iter().chain(letters)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("cache-guard", None)]
    #[case("x", None)]
    #[case("http2-fix", None)]
    #[case("", Some("cannot be the name"))]
    #[case("Cache", Some("cannot be the name"))]
    #[case("cache_guard", Some("cannot be the name"))]
    #[case("cache--guard", Some("cannot be the name"))]
    #[case("cache-", Some("cannot be the name"))]
    #[case("cache-2", Some("each beginning with a letter"))]
    #[case("../../etc", Some("cannot be the name"))]
    #[case("a b", Some("cannot be the name"))]
    #[case("ß", Some("cannot be the name"))]
    #[case("port-conflict", Some("is a built-in strategy"))]
    #[case("match", Some("already means something in Rust"))]
    #[case("test", Some("already means something in Rust"))]
    fn a_name(#[case] name: &str, #[case] refused: Option<&str>) {
        let checked = check(name, Language::Rust);
        match refused {
            None => checked.unwrap(),
            Some(said) => {
                let error = checked.unwrap_err().to_string();
                assert!(error.contains(said), "{error}");
            }
        }
    }

    #[test]
    fn rust_s_words_are_free_elsewhere() {
        check("match", Language::Python).unwrap();
        let error = check("record", Language::C).unwrap_err().to_string();
        assert!(error.contains("already means something in WIT"), "{error}");
    }

    #[test]
    fn a_name_in_other_spellings() {
        assert_eq!(snake_case("cache-guard"), "cache_guard");
        assert_eq!(camel_case("cache-guard-2x"), "CacheGuard2x");
    }
}
