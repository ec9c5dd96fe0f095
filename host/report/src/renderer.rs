//! Renders notifications, by the built-in templates or the operator's.

use std::path::{Path, PathBuf};

use minijinja::{Value, context};
use prunella_config::Diagnostic;
use prunella_core::text::one_line;

use crate::{
    format::{self, File, Format, Templates},
    notification::Notification,
    samples,
};

/// The longest subject, in characters; one more says that it goes on.
const SUBJECT_MAX: usize = 89;

/// A rendered notification.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    pub subject: String,
    /// 80 columns wide, but for commands, which are never broken.
    pub text: String,
    /// A whole page, for mail clients and browsers; nothing in it comes from
    /// elsewhere, and it has no script.
    pub html: String,
    /// What is wrong with the operator's templates; those were left aside.
    pub warnings: Vec<Diagnostic>,
}

/// Renders notifications. The operator's templates are read for each, so that a change
/// holds at once and an idle daemon keeps nothing of them.
#[derive(Debug, Clone, Default)]
pub struct Renderer {
    folder: Option<PathBuf>,
}

impl Renderer {
    /// With the templates in `folder` (`/etc/prunella/templates`), where there
    /// are some; it need not exist. With the built-in ones only, without.
    pub fn new(folder: Option<&Path>) -> Self {
        Self {
            folder: folder.map(Path::to_owned),
        }
    }

    /// Renders a notification. Always answers: see [`Rendered::warnings`].
    pub fn render(&self, notification: &Notification) -> Rendered {
        let (files, mut warnings) = format::read(self.folder.as_deref());
        let rendered = render(notification, &files, &mut warnings);
        Rendered {
            warnings,
            ..rendered
        }
    }

    /// What is wrong with the operator's templates: each is tried on notifications of
    /// every sort, so that a name that does not exist is found before it is
    /// needed.
    pub fn check(&self) -> Vec<Diagnostic> {
        let (files, mut warnings) = format::read(self.folder.as_deref());
        if !files.is_empty() {
            for notification in samples::notifications() {
                let mut found = Vec::new();
                render(&notification, &files, &mut found);
                // One place may fail in more ways than one.
                found.retain(|one| !warnings.iter().any(|known| is_same_place(known, one)));
                warnings.append(&mut found);
            }
        }
        warnings
    }
}

fn render(notification: &Notification, files: &[File], warnings: &mut Vec<Diagnostic>) -> Rendered {
    let mut formats = Format::ALL.map(|format| Templates::new(format, files, warnings));
    let before = warnings.clone();
    let [mut subject, mut text, mut html] = formats
        .each_mut()
        .map(|format| format.render(&values(notification, &before), warnings));
    if *warnings != before {
        // The notification itself says what is wrong with its templates.
        let all = warnings.clone();
        [subject, text, html] = formats
            .each_mut()
            .map(|format| format.render(&values(notification, &all), warnings));
    }
    Rendered {
        subject: one_line(&subject, SUBJECT_MAX),
        text,
        html,
        warnings: Vec::new(),
    }
}

fn is_same_place(one: &Diagnostic, other: &Diagnostic) -> bool {
    let line = |of: &Diagnostic| of.place.as_ref().map(|place| place.line);
    one.file == other.file && line(one) == line(other)
}

/// What templates can use: see docs/reports.md.
fn values(notification: &Notification, warnings: &[Diagnostic]) -> Value {
    let facts: Vec<Value> = notification
        .facts()
        .into_iter()
        .map(|(name, value)| context! { name, value })
        .collect();
    let notes: Vec<String> = warnings.iter().map(note).collect();
    context! {
        facts,
        notes,
        ..Value::from(minijinja::value::Serde(notification))
    }
}

/// A warning in one line.
fn note(warning: &Diagnostic) -> String {
    let line = warning
        .place
        .as_ref()
        .map_or_else(String::new, |place| format!(", line {}", place.line));
    format!("{}{line}: {}", warning.file.display(), warning.message)
}
