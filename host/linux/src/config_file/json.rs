//! Values in JSON.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Form, Found, Kind, Quotes, Scalar, Unusable, splits};

pub(super) fn find(text: &str, key: &str) -> Result<Scalar, Unusable> {
    let top: &RawValue = serde_json::from_str(text).map_err(not_read)?;
    let mut found = Found::nothing(key);
    look(text, top, key, &mut found)?;
    found.only()
}

fn not_read(error: serde_json::Error) -> Unusable {
    Unusable::NotRead {
        format: "JSON",
        why: error.to_string(),
    }
}

/// The members of an object, as they stand in the file: a name may be there twice.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Deserialize<'a> for Members<'a> {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        struct All;

        impl<'a> Visitor<'a> for All {
            type Value = Members<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<Members<'a>, M::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        from.deserialize_map(All)
    }
}

/// Borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Looks for what `rest` of the key leads to from a value.
fn look<'a>(
    text: &'a str,
    value: &'a RawValue,
    rest: &str,
    found: &mut Found<'_>,
) -> Result<(), Unusable> {
    if !value.get().starts_with('{') {
        return Ok(());
    }
    let Members(members) = serde_json::from_str(value.get()).map_err(not_read)?;
    for (name, rest) in splits(rest) {
        let mut named = members.iter().filter(|(member, _)| member == name);
        let Some((_, value)) = named.next() else {
            continue;
        };
        if named.next().is_some() {
            return Err(Unusable::Twice(name.to_owned()));
        }
        if rest.is_empty() {
            let scalar = scalar(text, value, found)?;
            found.add(scalar)?;
        } else {
            look(text, value, rest, found)?;
        }
    }
    Ok(())
}

fn scalar(text: &str, value: &RawValue, found: &Found<'_>) -> Result<Scalar, Unusable> {
    let written = value.get();
    // It is borrowed from the text.
    let start = written.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
    let plain = |kind| (written.to_owned(), Form::Plain(kind));
    let (value, form) = match written.bytes().next() {
        Some(b'"') => {
            let value: String = serde_json::from_str(written).map_err(not_read)?;
            (value, Form::Quoted(Quotes::Escaping))
        }
        Some(b't' | b'f') => plain(Kind::Boolean),
        Some(b'n') => return Err(found.is("null")),
        Some(b'[') => return Err(found.is("a list, and no single value")),
        Some(b'{') => return Err(found.is("an object, and no single value")),
        _ => plain(Kind::Number),
    };
    Ok(Scalar {
        span: start..start + written.len(),
        value,
        form,
    })
}
