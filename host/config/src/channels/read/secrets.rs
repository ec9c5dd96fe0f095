//! Reads where secrets are, and keeps those from showing that stand in the
//! configuration by mistake.

use super::{ChannelReader, SECRET_KEYS, keys_of};
use crate::{
    channels::check_url,
    reader::{Reader, Section},
    value::is_credential_name,
};
use prunella_core::{secret::SecretSource, text::one_line};

/// Diagnostics show the line they are about, and must not show a secret that
/// stands in it by mistake.
pub(super) fn hide(reader: &mut Reader<'_>, section: Section<'_>) {
    let kind = section.table.get("kind");
    let own = kind
        .and_then(|kind| keys_of(kind.get_ref().as_str()?))
        .unwrap_or_default();
    for (key, value) in section.table {
        let key: &str = key.get_ref();
        let Some(written) = value.get_ref().as_str() else {
            continue;
        };
        // A URL that may stand in the open is worth seeing.
        let open = own.contains(&key) && check_url(written, true).is_ok();
        if open || written.is_empty() || !SECRET_KEYS.contains(&key) {
            continue;
        }
        for place in reader.found.iter_mut().filter_map(|d| d.place.as_mut()) {
            // As many characters as before, so that the marks fit.
            place.text = place
                .text
                .replace(written, &"*".repeat(written.chars().count()));
        }
    }
}

impl ChannelReader<'_, '_, '_> {
    /// Notes every secret that stands in the file itself.
    pub(super) fn inline_secrets(&mut self, kind: &str, own: &[&str]) {
        for key in SECRET_KEYS {
            let Some((written, _)) = self.section.table.get_key_value(key) else {
                continue;
            };
            if own.contains(&key) {
                continue;
            }
            let span = written.span();
            let file = format!("{key}-file");
            if own.contains(&file.as_str()) {
                let message = if key == "url" {
                    format!(
                        "whoever knows the URL of a {kind} webhook can write there, and everybody can read this file"
                    )
                } else {
                    format!("`{key}` is a secret, and everybody can read this file")
                };
                self.reader.error_help(
                    span,
                    message,
                    format!(
                        "put it alone into a file of mode 0600 and write `{file} = \"/etc/prunella/secrets/{}.{key}\"`, or `{key}-credential = \"NAME\"` for a credential of systemd's",
                        self.name
                    ),
                );
            } else {
                self.reader.error(
                    span,
                    format!("a channel of the kind `{kind}` has no `{key}`"),
                );
            }
        }
    }

    pub(super) fn only_one(&mut self, keys: &[&str]) -> bool {
        let mut present = keys.iter().filter(|key| self.has(key));
        let (Some(first), Some(second)) = (present.next(), present.next()) else {
            return true;
        };
        let span = self
            .section
            .table
            .get_key_value(*second)
            .map_or(self.at.clone(), |(key, _)| key.span());
        self.reader.error_help(
            span,
            format!("`{first}` and `{second}` say the same thing twice"),
            "keep one of them",
        );
        false
    }

    /// `KEY-file` or `KEY-credential`.
    pub(super) fn secret(&mut self, key: &str) -> Option<SecretSource> {
        let (file, credential) = (format!("{key}-file"), format!("{key}-credential"));
        if !self.only_one(&[&file, &credential]) {
            return None;
        }
        if let Some(text) = self.text(&file, "/etc/prunella/secrets/NAME") {
            return self.reader.path(&file, text).map(SecretSource::File);
        }
        let (name, span) = self.text(&credential, "NAME")?;
        if !is_credential_name(name) {
            let shown = one_line(name, 60);
            self.reader.error_help(
                span,
                format!("`{shown}` is not the name of a credential"),
                "write the name that stands before the `:` in LoadCredential=",
            );
            return None;
        }
        Some(SecretSource::Credential(name.to_owned()))
    }

    pub(super) fn required_secret(&mut self, key: &str) -> Option<SecretSource> {
        let (file, credential) = (format!("{key}-file"), format!("{key}-credential"));
        // An inline one was already spoken of.
        if !self.has(&file) && !self.has(&credential) && !self.has(key) {
            self.reader.error_help(
                self.at.clone(),
                format!("the channel `{}` has no `{file}`", self.name),
                format!(
                    "add `{file} = \"/etc/prunella/secrets/{}.{key}\"`, a file of mode 0600, or `{credential} = \"NAME\"`",
                    self.name
                ),
            );
        }
        self.secret(key)
    }
}
