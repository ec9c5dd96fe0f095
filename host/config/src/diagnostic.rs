//! Mistakes in the configuration, each with its place and what would be right.

use std::{
    fmt::{self, Write as _},
    ops::Range,
    path::{Path, PathBuf},
};

use anstyle::{AnsiColor, Style};
use prunella_core::text::{is_deceptive, one_line};
use serde::Serialize;
use toml::de::DeTable;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a look; the configuration can be used.
    Warning,
    /// The configuration cannot be used.
    Error,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// From 1 on.
    pub line: usize,
    /// From 1 on, in characters.
    pub column: usize,
    /// How many characters are meant; all in that line.
    pub width: usize,
    /// The line itself.
    pub text: String,
}

/// One mistake. Shown by `Display` without colour, as rustc does it:
///
/// ```text
/// error: unknown key `prots`
///  --> services.d/web.toml:2:1
///   |
/// 2 | prots = ["tcp/80"]
///   | ^^^^^
///   = help: did you mean `ports`?
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file, as it was found: below the configuration's folder.
    pub file: PathBuf,
    /// Where in it; absent when it is about the file as a whole.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error about a file as a whole.
    pub(super) fn about_file(file: &Path, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.to_owned(),
            place: None,
            message: message.into(),
            help: None,
        }
    }

    /// With what would be right.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// As a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// Whether it makes the configuration unusable.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// On one line: where it is and what is wrong; what would be right only where that
    /// cannot be seen from the place.
    pub fn short(&self) -> String {
        let file = one_line(&self.file.to_string_lossy(), 300);
        match (&self.place, &self.help) {
            (Some(place), _) => format!("{file}:{}: {}", place.line, self.message),
            (None, Some(help)) => format!("{file}: {} ({help})", self.message),
            (None, None) => format!("{file}: {}", self.message),
        }
    }

    /// As text for a terminal, with colour.
    pub fn coloured(&self) -> String {
        self.render(&Palette::coloured())
    }

    fn render(&self, palette: &Palette) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut out, palette);
        out
    }

    fn write(&self, out: &mut String, palette: &Palette) -> fmt::Result {
        let Palette { frame, strong, .. } = palette;
        let mark = match self.severity {
            Severity::Warning => palette.warning,
            Severity::Error => palette.error,
        };
        let word = self.severity.as_str();
        let file = one_line(&self.file.to_string_lossy(), 300);
        write!(
            out,
            "{mark}{word}{mark:#}{strong}: {}{strong:#}",
            self.message
        )?;
        let Some(place) = &self.place else {
            write!(out, "\n {frame}-->{frame:#} {file}")?;
            if let Some(help) = &self.help {
                write!(out, "\n {frame}={frame:#} {strong}help{strong:#}: {help}")?;
            }
            return Ok(());
        };
        let Place {
            line,
            column,
            width,
            text,
        } = place;
        let gutter = line.to_string().len();
        write!(
            out,
            "\n{:gutter$}{frame}-->{frame:#} {file}:{line}:{column}",
            ""
        )?;
        write!(out, "\n{:gutter$} {frame}|{frame:#}", "")?;
        write!(out, "\n{frame}{line} |{frame:#} {text}")?;
        let (indent, carets) = (column.saturating_sub(1), "^".repeat(*width));
        write!(
            out,
            "\n{:gutter$} {frame}|{frame:#} {:indent$}{mark}{carets}{mark:#}",
            "", ""
        )?;
        if let Some(help) = &self.help {
            write!(
                out,
                "\n{:gutter$} {frame}={frame:#} {strong}help{strong:#}: {help}",
                ""
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Palette::plain()))
    }
}

/// The colours of one rendering.
struct Palette {
    error: Style,
    warning: Style,
    frame: Style,
    strong: Style,
}

impl Palette {
    fn plain() -> Self {
        let plain = Style::new();
        Self {
            error: plain,
            warning: plain,
            frame: plain,
            strong: plain,
        }
    }

    fn coloured() -> Self {
        Self {
            error: AnsiColor::BrightRed.on_default().bold(),
            warning: AnsiColor::Yellow.on_default().bold(),
            frame: AnsiColor::BrightBlue.on_default().bold(),
            strong: Style::new().bold(),
        }
    }
}

/// A file's text, to turn positions in it into places.
#[derive(Debug)]
pub struct Source {
    /// What the file is called in a message.
    pub file: PathBuf,
    /// All of it.
    pub text: String,
}

impl Source {
    /// An error about a part of the text.
    pub fn error(&self, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            file: self.file.clone(),
            place: Some(self.place(span)),
            message: message.into(),
            help: None,
        }
    }

    /// Where the value of `key` stands in the `[[section]]` of this `name`.
    pub fn value_in(&self, section: &str, name: &str, key: &str) -> Option<Range<usize>> {
        let (table, _) = DeTable::parse_recoverable(&self.text);
        let tables = table.get_ref().get(section)?.get_ref().as_array()?;
        let declared = tables
            .iter()
            .filter_map(|item| item.get_ref().as_table())
            .find(|table| {
                let found = table.get("name").and_then(|found| found.get_ref().as_str());
                found == Some(name)
            })?;
        declared.get(key).map(|value| value.span())
    }

    /// The first line of a part of the text.
    pub fn place(&self, span: Range<usize>) -> Place {
        let start = span.start.min(self.text.len());
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let rest = self.text.get(line_start..).unwrap_or_default();
        let text = rest.lines().next().unwrap_or_default();
        let line_end = line_start + text.len();
        let chars = |from: usize, to: usize| {
            self.text
                .get(from..to)
                .map_or(0, |part| part.chars().count())
        };
        Place {
            line: before.matches('\n').count() + 1,
            column: chars(line_start, start.min(line_end)) + 1,
            width: chars(start, span.end.min(line_end)).max(1),
            // One character stays one character, so that the marks fit.
            text: text
                .chars()
                .map(|c| match c {
                    '\t' => ' ',
                    c if c.is_control() || is_deceptive(c) => '\u{fffd}',
                    c => c,
                })
                .collect(),
        }
    }
}
