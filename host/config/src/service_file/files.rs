//! Reads `[[file]]`: the files a service declares.

use std::{collections::BTreeMap, ops::Range, path::PathBuf};

use prunella_core::{
    service::{DeclaredFile, FileRole, ReadBy, Service},
    text::one_line,
};

use super::first_of;
use crate::reader::{Reader, Section, Text};

const FILE_KEYS: [&str; 11] = [
    "name", "path", "role", "mode", "owner", "group", "target", "keys", "optional", "read-by",
    "secret",
];

pub(super) fn read_files(reader: &mut Reader<'_>, top: Section<'_>, service: &mut Service) {
    let mut seen = BTreeMap::new();
    for (section, at) in reader.sections(top, "file", "[[file]]") {
        reader.only(section, &FILE_KEYS);
        let name = reader.name(section, &at);
        let role = reader
            .one_of(
                section,
                "role",
                &[
                    ("plain", FileRole::Plain),
                    ("env", FileRole::Env),
                    ("database", FileRole::Database),
                    ("directory", FileRole::Directory),
                    ("symlink", FileRole::Symlink),
                    ("socket", FileRole::Socket),
                ],
            )
            .unwrap_or_default();
        if !section.table.contains_key("path") {
            reader.error_help(
                at.clone(),
                "[[file]] has no path",
                "add a line such as `path = \"/etc/nginx/nginx.conf\"`",
            );
        }
        let path = reader
            .text(section, "path", "/etc/nginx/nginx.conf")
            .and_then(|text| reader.path("path", text));
        let (owner, group) = read_owner(reader, section);
        let file = DeclaredFile {
            path: path.clone().unwrap_or_default(),
            role,
            mode: read_mode(reader, section, role),
            owner,
            group,
            target: read_target(reader, section, role, &at),
            keys: read_keys(reader, section, role),
            optional: reader.flag(section, "optional").unwrap_or_default(),
            read_by: reader
                .one_of(
                    section,
                    "read-by",
                    &[("service", ReadBy::Service), ("manager", ReadBy::Manager)],
                )
                .unwrap_or_default(),
            secret: reader.flag(section, "secret").unwrap_or_default(),
        };
        if let Some(name) = name
            && first_of(reader, &mut seen, "file", &name, &at)
            && path.is_some()
        {
            service.files.insert(name, file);
        }
    }
}

fn read_mode(reader: &mut Reader<'_>, section: Section<'_>, role: FileRole) -> Option<u32> {
    let (mode, span) = reader.mode(section, "mode")?;
    if mode > 0o777 {
        reader.error_help(
            span,
            format!(
                "the mode {mode:04o} has setuid, setgid or sticky bits: Prunella never sets those"
            ),
            format!("write \"0{:03o}\"", mode & 0o775),
        );
        return None;
    }
    if mode & 0o002 != 0 {
        reader.error_help(
            span,
            format!("the mode {mode:04o} lets everybody write: Prunella never sets that"),
            format!("write \"0{:03o}\"", mode & 0o775),
        );
        return None;
    }
    if role == FileRole::Symlink {
        reader.error_help(
            span,
            "a symbolic link has no mode of its own",
            "declare the file it leads to as a file of its own",
        );
        return None;
    }
    Some(mode)
}

fn read_owner(reader: &mut Reader<'_>, section: Section<'_>) -> (Option<String>, Option<String>) {
    let mut check = |(text, span): Text<'_>| {
        let valid = !text.is_empty()
            && text.len() <= 64
            && !text.starts_with('-')
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-.$".contains(&b));
        if !valid {
            let shown = one_line(text, 40);
            reader.error_help(
                span,
                format!("`{shown}` is not the name of a user or group"),
                "for example: owner = \"www-data\", or owner = \"www-data:adm\"",
            );
        }
        valid.then(|| text.to_owned())
    };
    let owner = section
        .table
        .get("owner")
        .and_then(|value| Some((value.get_ref().as_str()?, value.span())));
    let group = section
        .table
        .get("group")
        .and_then(|value| Some((value.get_ref().as_str()?, value.span())));
    let (mut user, mut of_owner, mut both) = (None, None, None);
    if let Some((text, span)) = owner {
        match text.split_once(':') {
            Some((name, group_name)) => {
                user = check((name, span.clone()));
                of_owner = check((group_name, span.clone()));
                both = group.is_some().then_some(span);
            }
            None => user = check((text, span)),
        }
    }
    let group = group.and_then(check);
    // Whatever is not text at all.
    reader.text(section, "owner", "www-data");
    reader.text(section, "group", "www-data");
    if let Some(span) = both {
        reader.error_help(
            span,
            "the group stands both in `owner` and in `group`",
            "leave one of them out",
        );
    }
    (user, of_owner.or(group))
}

fn read_target(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    role: FileRole,
    at: &Range<usize>,
) -> Option<PathBuf> {
    let Some((text, span)) = reader.text(section, "target", "../sites-available/shop") else {
        if role == FileRole::Symlink && !section.table.contains_key("target") {
            reader.warn(
                at.clone(),
                "a symbolic link without a `target`: any target will do",
                "add `target`, to have the link brought back where it should lead",
            );
        }
        return None;
    };
    if role != FileRole::Symlink {
        reader.error_help(
            span,
            "`target` is for symbolic links",
            "add `role = \"symlink\"`, or leave `target` out",
        );
        return None;
    }
    if text.is_empty() || text.contains('\0') {
        reader.error(span, "`target` must be a path");
        return None;
    }
    Some(text.into())
}

fn read_keys(reader: &mut Reader<'_>, section: Section<'_>, role: FileRole) -> Vec<String> {
    let keys = reader.texts(section, "keys", "\"DATABASE_URL\"");
    if let Some((_, span)) = keys.first()
        && role != FileRole::Env
    {
        reader.error_help(
            span.clone(),
            "`keys` is for environment files",
            "add `role = \"env\"`, or leave `keys` out",
        );
    }
    let mut names = Vec::new();
    for (text, span) in keys {
        let valid = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if valid {
            names.push(text.to_owned());
        } else {
            let shown = one_line(text, 40);
            reader.error(span, format!("`{shown}` cannot be the name of a variable"));
        }
    }
    names
}
