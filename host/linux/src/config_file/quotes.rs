//! Text in quotes, as each format writes it.

/// Which quotes stand around a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    /// `"…"`, in which a backslash escapes: JSON, TOML and YAML.
    Escaping,
    /// `'…'`, in which two of them stand for one: YAML.
    Doubled,
    /// In which everything but the quote stands for itself.
    Literal(char),
}

impl Quotes {
    /// Where the quotes end that `written` begins with; none where it does not, or they do not.
    pub(super) fn end(self, written: &str) -> Option<usize> {
        let quote = match self {
            Self::Escaping => '"',
            Self::Doubled => '\'',
            Self::Literal(quote) => quote,
        };
        let mut rest = written.strip_prefix(quote)?.char_indices().peekable();
        while let Some((at, c)) = rest.next() {
            if c == '\\' && self == Self::Escaping {
                rest.next();
            } else if c == quote {
                let doubled =
                    self == Self::Doubled && rest.next_if(|(_, next)| *next == quote).is_some();
                if !doubled {
                    return Some(at + 2 * quote.len_utf8());
                }
            }
        }
        None
    }

    /// The text in these quotes; none where it cannot stand in them.
    pub(super) fn around(self, text: &str) -> Option<String> {
        match self {
            Self::Escaping => {
                let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
                Some(format!("\"{escaped}\""))
            }
            Self::Doubled => Some(format!("'{}'", text.replace('\'', "''"))),
            Self::Literal(quote) => {
                (!text.contains(quote)).then(|| format!("{quote}{text}{quote}"))
            }
        }
    }
}
