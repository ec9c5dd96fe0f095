//! Values in TOML.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Form, Found, Kind, Quotes, Scalar, Unusable, splits};

pub(super) fn find(text: &str, key: &str) -> Result<Scalar, Unusable> {
    let top = DeTable::parse(text).map_err(|error| Unusable::NotRead {
        format: "TOML",
        why: error.message().to_owned(),
    })?;
    let mut found = Found::nothing(key);
    look(text, top.get_ref(), key, &mut found)?;
    found.only()
}

/// Looks for what `rest` of the key leads to from a table.
fn look(
    text: &str,
    table: &DeTable<'_>,
    rest: &str,
    found: &mut Found<'_>,
) -> Result<(), Unusable> {
    for (name, rest) in splits(rest) {
        let Some(value) = table.get(name) else {
            continue;
        };
        match value.get_ref() {
            DeValue::Table(inner) if !rest.is_empty() => look(text, inner, rest, found)?,
            _ if !rest.is_empty() => {}
            _ => {
                let scalar = scalar(text, value, found)?;
                found.add(scalar)?;
            }
        }
    }
    Ok(())
}

fn scalar(text: &str, value: &Spanned<DeValue<'_>>, found: &Found<'_>) -> Result<Scalar, Unusable> {
    let span = value.span();
    let written = text.get(span.clone()).unwrap_or_default();
    let plain = |kind| (written.to_owned(), Form::Plain(kind));
    let (value, form) = match value.get_ref() {
        DeValue::String(value) => {
            let quotes = if written.starts_with("\"\"\"") || written.starts_with("'''") {
                return Err(found.is("text of several lines"));
            } else if written.starts_with('"') {
                Quotes::Escaping
            } else {
                Quotes::Literal('\'')
            };
            (value.clone().into_owned(), Form::Quoted(quotes))
        }
        DeValue::Integer(_) => plain(Kind::Whole),
        DeValue::Float(_) => plain(Kind::Fraction),
        DeValue::Boolean(_) => plain(Kind::Boolean),
        DeValue::Datetime(_) => plain(Kind::Date),
        DeValue::Array(_) => return Err(found.is("a list, and no single value")),
        DeValue::Table(_) => return Err(found.is("a table, and no single value")),
    };
    Ok(Scalar { span, value, form })
}
