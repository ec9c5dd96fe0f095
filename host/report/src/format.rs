//! One format of a notification: the environment in which its templates run.

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, HtmlEscape, UndefinedBehavior, Value,
    syntax::SyntaxConfig, value::Kwargs,
};
use prunella_config::{Diagnostic, Place, Severity};
use prunella_core::text::{capital, visible};

use crate::wrap;

/// Steps of a template: the built-in ones take a few thousand for a long report.
const FUEL: u64 = 2_000_000;

/// The largest template file, in bytes.
const FILE_MAX: u64 = 256 * 1024;

/// The most files that are read from the operator's folder.
const FILES_MAX: usize = 64;

/// The built-in templates, by the names under which others can extend them.
const BUILT_IN: [(&str, &str); 3] = [
    (
        "built-in/subject.txt",
        include_str!("templates/subject.txt"),
    ),
    ("built-in/report.txt", include_str!("templates/report.txt")),
    (
        "built-in/report.html",
        include_str!("templates/report.html"),
    ),
];

/// What a template makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Subject,
    /// 80 columns.
    Text,
    /// A page for mail clients and browsers.
    Html,
}

impl Format {
    pub(crate) const ALL: [Self; 3] = [Self::Subject, Self::Text, Self::Html];

    /// The file that an operator replaces.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Subject => "subject.txt",
            Self::Text => "report.txt",
            Self::Html => "report.html",
        }
    }

    fn built_in(self) -> &'static str {
        match self {
            Self::Subject => "built-in/subject.txt",
            Self::Text => "built-in/report.txt",
            Self::Html => "built-in/report.html",
        }
    }

    /// The most it may be, in bytes: mail clients cut longer pages off.
    fn output_max(self) -> usize {
        match self {
            Self::Subject => 4 * 1024,
            Self::Text => 256 * 1024,
            Self::Html => 1024 * 1024,
        }
    }
}

/// A file of the operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    /// Its name in the folder, by which templates include it.
    pub(crate) name: String,
    pub(crate) source: String,
}

/// The operator's files, and what is wrong with some of them. No folder: none.
pub(crate) fn read(folder: Option<&Path>) -> (Vec<File>, Vec<Diagnostic>) {
    let (mut files, mut warnings) = (Vec::new(), Vec::new());
    let Some(folder) = folder else {
        return (files, warnings);
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (files, warnings),
        Err(error) => {
            warnings.push(warning(folder, None, cannot_read(error)));
            return (files, warnings);
        }
    };
    let found = fs::metadata(folder).map_err(cannot_read);
    if let Err(why) = found.and_then(|found| trusted(&found)) {
        warnings.push(warning(folder, None, why).with_help("none of your templates is used"));
        return (files, warnings);
    }
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        // What editors leave behind.
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        if !name.ends_with(".txt") && !name.ends_with(".html") {
            warnings.push(
                warning(&path, None, "no template has such a name".to_owned()).with_help(
                    "templates are subject.txt, report.txt and report.html, and whatever *.txt \
                     and *.html they include",
                ),
            );
            continue;
        }
        if files.len() == FILES_MAX {
            warnings.push(warning(
                &path,
                None,
                format!("only the first {FILES_MAX} files are read"),
            ));
            break;
        }
        match read_file(&path) {
            Ok(source) => files.push(File {
                name: name.to_owned(),
                path,
                source,
            }),
            Err(why) => warnings.push(warning(&path, None, why)),
        }
    }
    (files, warnings)
}

/// One file, looked at and read through the same descriptor.
fn read_file(path: &Path) -> Result<String, String> {
    // A pipe would be waited for.
    let about = fs::metadata(path).map_err(cannot_read)?;
    if !about.is_file() {
        return Err("it is not a file".to_owned());
    }
    let file = fs::File::open(path).map_err(cannot_read)?;
    trusted(&file.metadata().map_err(cannot_read)?)?;
    let mut bytes = Vec::new();
    let read = file.take(FILE_MAX + 1).read_to_end(&mut bytes);
    if read.map_err(cannot_read)? as u64 > FILE_MAX {
        return Err(format!("it is larger than {} KiB", FILE_MAX / 1024));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

fn cannot_read(error: io::Error) -> String {
    format!("it cannot be read: {error}")
}

/// Who else can write a template can put commands into reports that people run
/// as root.
fn trusted(found: &fs::Metadata) -> Result<(), String> {
    let us = fs::metadata("/proc/self").map_or(0, |found| found.uid());
    if found.uid() != 0 && found.uid() != us {
        return Err(format!(
            "it belongs to the user {}, who could put anything into reports",
            found.uid()
        ));
    }
    if found.mode() & 0o022 != 0 {
        return Err(format!(
            "others can write it (mode {:04o}), and could put anything into reports",
            found.mode() & 0o7777
        ));
    }
    Ok(())
}

/// The templates of one format, compiled.
pub(crate) struct Templates<'a> {
    format: Format,
    env: Environment<'a>,
    files: &'a [File],
    /// Whether there is a template of the operator's for it, and it is sound as
    /// far as is known.
    own: bool,
}

impl<'a> Templates<'a> {
    /// Those of a format, the operator's among them; what is wrong with one is
    /// added to `warnings`.
    pub(crate) fn new(format: Format, files: &'a [File], warnings: &mut Vec<Diagnostic>) -> Self {
        let mut env = environment(format);
        for (name, source) in BUILT_IN {
            // A test makes sure that they are sound.
            let _ = env.add_template(name, source);
        }
        let html = format == Format::Html;
        let mut own = false;
        for file in files {
            let is_this = file.name == format.file();
            let is_another = Format::ALL.iter().any(|other| file.name == other.file());
            if file.name.ends_with(".html") != html || (is_another && !is_this) {
                continue;
            }
            match env.add_template(&file.name, &file.source) {
                Ok(()) => own |= is_this,
                // What only is included is missed where that is done.
                Err(error) => warnings.push(explain(&error, file, files)),
            }
        }
        Self {
            format,
            env,
            files,
            own,
        }
    }

    /// By the operator's template, when there is one and it is sound, else by
    /// the built-in one.
    pub(crate) fn render(&mut self, context: &Value, warnings: &mut Vec<Diagnostic>) -> String {
        if self.own {
            match self.run(self.format.file(), context) {
                Ok(text) => return text,
                Err(error) => {
                    self.own = false;
                    if let Some(file) = self.files.iter().find(|f| f.name == self.format.file()) {
                        let found = explain(&error, file, self.files);
                        if !warnings.contains(&found) {
                            warnings.push(found);
                        }
                    }
                }
            }
        }
        // Nothing that comes in can make it fail, and a test says so; whoever
        // gets an empty page still has the subject and the facts.
        self.run(self.format.built_in(), context)
            .unwrap_or_default()
    }

    fn run(&self, name: &str, context: &Value) -> Result<String, Error> {
        let template = self.env.get_template(name)?;
        let full = Arc::new(AtomicBool::new(false));
        let mut out = Capped {
            bytes: Vec::new(),
            max: self.format.output_max(),
            full: Arc::clone(&full),
        };
        let result = template
            .render_captured_to(context.clone(), &mut out)
            .map(drop);
        if full.load(Ordering::Relaxed) {
            return Err(Error::new(
                ErrorKind::WriteFailure,
                format!(
                    "it writes more than {} KiB",
                    self.format.output_max() / 1024
                ),
            ));
        }
        result?;
        let text = String::from_utf8(out.bytes)
            .map_err(|_| Error::new(ErrorKind::WriteFailure, "it writes what is not UTF-8"))?;
        let text = match self.format {
            Format::Subject => text.split_whitespace().collect::<Vec<_>>().join(" "),
            Format::Text => wrap::tidied(&text),
            Format::Html => format!("{}\n", text.trim_end()),
        };
        if text.trim().is_empty() {
            return Err(Error::new(ErrorKind::WriteFailure, "it writes nothing"));
        }
        Ok(text)
    }
}

fn environment<'a>(format: Format) -> Environment<'a> {
    let mut env = Environment::new();
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build();
    if let Ok(syntax) = syntax {
        env.set_syntax(syntax);
    }
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(64);
    // Ranges, sources and lines of errors.
    env.set_debug(true);
    // Nothing that a template names is safe because the template says so.
    env.remove_filter("safe");
    if format == Format::Html {
        env.set_auto_escape_callback(|_| AutoEscape::Html);
        // Whatever `autoescape` says: every value is escaped, once.
        env.set_formatter(|out, _, value| {
            if value.is_none() {
                return Ok(());
            }
            let text = value.to_string();
            if value.is_safe() {
                out.write_str(&text)?;
            } else {
                write!(out, "{}", HtmlEscape(&visible(&text)))?;
            }
            Ok(())
        });
    } else {
        env.set_auto_escape_callback(|_| AutoEscape::None);
        env.set_formatter(|out, _, value| {
            if !value.is_none() {
                out.write_str(&visible(&value.to_string()))?;
            }
            Ok(())
        });
    }
    env.add_filter("wrap", |text: &str, options: Kwargs| {
        let first: Option<&str> = options.get("first")?;
        let rest: Option<&str> = options.get("rest")?;
        options.assert_all_used()?;
        let first = first.unwrap_or_default();
        let blank = " ".repeat(first.chars().count());
        Ok::<_, Error>(wrap::wrapped(first, rest.unwrap_or(&blank), text))
    });
    env.add_filter("pad_left", |text: &str, columns: usize| {
        format!("{text:>columns$}", columns = columns.min(wrap::WIDTH))
    });
    env.add_filter("capital", |text: &str| capital(text));
    env.add_filter("pad", |text: &str, columns: usize| {
        format!("{text:columns$}", columns = columns.min(wrap::WIDTH))
    });
    env
}

/// What a template writes, up to a limit.
struct Capped {
    bytes: Vec<u8>,
    max: usize,
    full: Arc<AtomicBool>,
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.max {
            self.full.store(true, Ordering::Relaxed);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn warning(file: &Path, place: Option<Place>, message: String) -> Diagnostic {
    Diagnostic {
        severity: Severity::Warning,
        file: file.to_owned(),
        place,
        message,
        help: None,
    }
}

trait WithHelp {
    fn with_help(self, help: &str) -> Self;
}

impl WithHelp for Diagnostic {
    fn with_help(mut self, help: &str) -> Self {
        self.help = Some(help.to_owned());
        self
    }
}

/// What is wrong with `file`, or with the one that it includes.
fn explain(error: &Error, file: &File, files: &[File]) -> Diagnostic {
    // An error within what is included tells where it was included; the place
    // that matters is where it began.
    let mut innermost = error;
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(inner) = inner.downcast_ref::<Error>() {
            innermost = inner;
        }
        cause = inner.source();
    }
    let file = innermost
        .name()
        .and_then(|name| files.iter().find(|file| file.name == name))
        .unwrap_or(file);
    let what = match innermost.kind() {
        ErrorKind::OutOfFuel => {
            "it takes too many steps: does a loop of its not come to an end?".to_owned()
        }
        ErrorKind::WriteFailure => innermost
            .detail()
            .unwrap_or("it cannot be written")
            .to_owned(),
        kind => innermost
            .detail()
            .map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}")),
    };
    let help = match innermost.kind() {
        ErrorKind::UndefinedError => Some(
            "docs/reports.md lists what a template can use; what may be absent is asked for \
                  with `is defined` or `default`",
        ),
        ErrorKind::UnknownFilter if what.contains("safe") => {
            Some("every value is escaped: there is no `safe`")
        }
        _ => None,
    };
    let mut found = warning(
        &file.path,
        place(innermost, file),
        visible(&what).into_owned(),
    );
    found.help = help.map(str::to_owned);
    found
}

fn place(error: &Error, file: &File) -> Option<Place> {
    let line = error.line().filter(|line| *line > 0)?;
    let text = file.source.lines().nth(line - 1)?;
    let before: usize = file
        .source
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    // Where in the line, if the error says so and lies in it.
    let (column, width) = error
        .range()
        .and_then(|range| {
            let begin = range.start.checked_sub(before)?;
            let end = (range.end - before.min(range.end)).min(text.len());
            let column = text.get(..begin)?.chars().count() + 1;
            let width = text.get(begin..end)?.chars().count();
            Some((column, width.max(1)))
        })
        .unwrap_or((1, text.chars().count().max(1)));
    Some(Place {
        line,
        column,
        width,
        text: visible(text).into_owned(),
    })
}
