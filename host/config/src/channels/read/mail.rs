//! Reads what a mail channel has of its own.

use std::ops::Range;

use super::ChannelReader;
use crate::{
    channels::{Encryption, MailSettings, url::is_loopback},
    reader::Text,
};
use prunella_core::text::one_line;

impl ChannelReader<'_, '_, '_> {
    pub(super) fn mail(&mut self) -> Option<MailSettings> {
        let host = self.required("host", "mail.example.org");
        let host = host.and_then(|(host, span)| self.host(host, span));
        let encryption = self
            .reader
            .one_of(
                self.section,
                "encryption",
                &[
                    ("starttls", Encryption::StartTls),
                    ("tls", Encryption::Tls),
                    ("none", Encryption::None),
                ],
            )
            .unwrap_or(Encryption::StartTls);
        let port = self
            .reader
            .number(self.section, "port", u32::from(u16::MAX))
            .and_then(|port| u16::try_from(port).ok())
            .unwrap_or(match encryption {
                Encryption::StartTls => 587,
                Encryption::Tls => 465,
                Encryption::None => 25,
            });
        let login = self.login();
        if encryption == Encryption::None {
            let span = self
                .section
                .table
                .get("encryption")
                .map_or(self.at.clone(), toml::Spanned::span);
            if host.as_deref().is_some_and(|host| !is_loopback(host)) {
                self.reader.error_help(
                    span,
                    "mail may leave this host only encrypted",
                    "write \"starttls\" or \"tls\"; \"none\" is for a mail server on localhost",
                );
            } else if login.is_some() {
                self.reader.error_help(
                    span,
                    "a password is never sent over a connection without encryption",
                    "write \"starttls\" or \"tls\", or leave `user` out",
                );
            }
        }
        let from = self.required("from", "Prunella <prunella@example.org>");
        let from = from.and_then(|text| self.address("from", text));
        let mut to = Vec::new();
        for text in self.reader.texts(self.section, "to", "\"ops@example.org\"") {
            to.extend(self.address("to", text));
        }
        let none = self.section.table.get("to").is_none_or(|to| {
            to.get_ref()
                .as_array()
                .is_some_and(|addresses| addresses.is_empty())
        });
        if none {
            self.reader.error_help(
                self.at.clone(),
                format!("the channel `{}` has no recipients", self.name),
                "add `to = [\"ops@example.org\"]`",
            );
        }
        let reply_to = self
            .text("reply-to", "ops@example.org")
            .and_then(|text| self.address("reply-to", text));
        Some(MailSettings {
            host: host?,
            port,
            encryption,
            login,
            from: from?,
            to,
            reply_to,
        })
    }

    fn host(&mut self, host: &str, span: Range<usize>) -> Option<String> {
        let valid = host.parse::<std::net::IpAddr>().is_ok()
            || (host.len() <= 253
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.'));
        if valid {
            return Some(host.to_owned());
        }
        let shown = one_line(host, 60);
        self.reader.error_help(
            span,
            format!("`{shown}` is not the name or address of a host"),
            "for example: host = \"mail.example.org\"; the port has a key of its own",
        );
        None
    }

    /// `a@b.c` or `Name <a@b.c>`.
    fn address(&mut self, key: &str, (text, span): Text<'_>) -> Option<String> {
        let bare = match text.split_once('<') {
            Some((_, rest)) => rest.strip_suffix('>').unwrap_or_default(),
            None => text,
        };
        let valid = !text.chars().any(char::is_control)
            && bare.len() <= 254
            && bare.split_once('@').is_some_and(|(local, domain)| {
                let plain = |part: &str| {
                    !part.is_empty()
                        && part
                            .bytes()
                            .all(|b| b.is_ascii_graphic() && !b"<>()[]\\,;:@\"".contains(&b))
                };
                plain(local) && plain(domain) && !domain.starts_with('.') && !domain.ends_with('.')
            });
        if valid {
            return Some(text.to_owned());
        }
        let shown = one_line(text, 60);
        self.reader.error_help(
            span,
            format!("`{shown}` in `{key}` is not an address"),
            "write \"ops@example.org\" or \"Operations <ops@example.org>\"",
        );
        None
    }
}
