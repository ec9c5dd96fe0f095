//! monit's entries that watch the same service.

use std::path::{Path, PathBuf};

use prunella_core::capability::UnitStatus;

use super::text_file;

/// Folders are not entered any deeper.
const DEEPEST: usize = 3;

/// An entry of monit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitWatch {
    /// The file it stands in.
    pub file: PathBuf,
    /// The line it begins at, from 1.
    pub line: usize,
    /// What monit calls the service.
    pub name: String,
}

/// The entries that watch this unit: by its name, its pid file, or the command
/// that starts it.
pub(super) fn watches(etc: &Path, status: &UnitStatus, pid_file: &str) -> Vec<MonitWatch> {
    let mut files = vec![etc.join("monitrc")];
    collect(&etc.join("monit"), DEEPEST, &mut files);
    collect(&etc.join("monit.d"), DEEPEST, &mut files);
    let mut found = Vec::new();
    for file in files {
        let Ok(text) = text_file::read(&file) else {
            continue;
        };
        found.extend(entries(&text).into_iter().filter_map(|entry| {
            entry.is_about(status, pid_file).then(|| MonitWatch {
                file: file.clone(),
                line: entry.line,
                name: entry.name,
            })
        }));
    }
    found
}

fn collect(folder: &Path, deeper: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        // What is only available and not enabled watches nothing.
        if path.ends_with("conf-available") || path.ends_with("templates") {
            continue;
        }
        if path.is_file() {
            files.push(path);
        } else if deeper > 0 && path.is_dir() && !path.is_symlink() {
            collect(&path, deeper - 1, files);
        }
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Entry {
    line: usize,
    name: String,
    words: Vec<String>,
}

/// Splits a control file at its `check` statements.
fn entries(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line
            .split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '='))
            .filter(|word| !word.is_empty())
            .peekable();
        if words
            .peek()
            .is_some_and(|word| word.eq_ignore_ascii_case("check"))
        {
            let name = words.clone().nth(2).unwrap_or_default().to_owned();
            entries.push(Entry {
                line: number + 1,
                name,
                words: Vec::new(),
            });
        }
        if let Some(entry) = entries.last_mut() {
            entry.words.extend(words.map(str::to_owned));
        }
    }
    entries
}

impl Entry {
    fn is_about(&self, status: &UnitStatus, pid_file: &str) -> bool {
        status.names.iter().any(|name| {
            let stem = name.stem();
            let init = format!("/etc/init.d/{stem}");
            self.name == stem
                || self
                    .words
                    .iter()
                    .any(|word| *word == init || word == name.as_str())
                // `systemctl start nginx`, `service nginx start`.
                || self.words.windows(3).any(|words| match words {
                    [program, first, second] => {
                        (program.ends_with("systemctl") && second == stem)
                            || (program.ends_with("service") && first == stem)
                    }
                    _ => false,
                })
        }) || (!pid_file.is_empty() && self.words.iter().any(|word| same_file(word, pid_file)))
    }
}

/// `/var/run` is `/run`.
fn same_file(one: &str, other: &str) -> bool {
    fn short(path: &str) -> &str {
        path.strip_prefix("/var")
            .filter(|rest| rest.starts_with("/run/"))
            .unwrap_or(path)
    }
    short(one) == short(other)
}
