//! Writing to the terminal: colours, width, and outputs that close early.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::args::Color;
use prunella_core::text::{one_line, shell_word};

pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// In between, or worth a look.
pub(crate) const FAIR: Style = AnsiColor::Yellow.on_default();
/// Down, or needing people.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Of less interest.
pub(crate) const QUIET: Style = Style::new().dimmed();
pub(crate) const STRONG: Style = Style::new().bold();
pub(crate) const PLAIN: Style = Style::new();

/// Narrower than this nothing useful fits.
const NARROWEST: usize = 40;

/// Applies `--color`; without it, NO_COLOR, CLICOLOR and the terminal decide.
pub(crate) fn choose(color: Color) {
    match color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
}

/// Writes text, which may be styled, to standard output in one go. What is done does not
/// depend on who reads of it: that nobody does any more, as after `| head`, is no error.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Whether nobody reads our output any more (`prunella status --watch | head`).
pub(crate) fn is_closed() -> bool {
    let at_once = Timespec::default();
    let stdout = io::stdout();
    let mut ends = [PollFd::new(&stdout, PollFlags::empty())];
    poll(&mut ends, Some(&at_once)).is_ok_and(|ready| ready > 0)
}

/// A unit's name as tables have it: a service's without its kind.
pub(crate) fn short_unit(name: &str) -> &str {
    name.strip_suffix(".service").unwrap_or(name)
}

/// One JSON value on one line.
pub(crate) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print_json_lines([value])
}

/// Each JSON value on a line of its own.
pub(crate) fn print_json_lines<T: serde::Serialize>(
    values: impl IntoIterator<Item = T>,
) -> anyhow::Result<()> {
    let mut lines = String::new();
    for value in values {
        lines.push_str(&serde_json::to_string(&value)?);
        lines.push('\n');
    }
    Ok(print(&lines)?)
}

/// A remark beside the result, on standard error. If nobody listens there,
/// nobody misses it.
pub(crate) fn remark(label: &str, style: Style, text: &str) {
    let mut out = anstream::stderr().lock();
    drop(writeln!(out, "{style}{label}:{style:#} {text}"));
}

/// How wide the output is, in columns: the terminal's width, $COLUMNS, or 80.
pub(crate) fn width() -> usize {
    let stdout = io::stdout();
    let columns = if stdout.is_terminal() {
        rustix::termios::tcgetwinsize(&stdout)
            .ok()
            .map(|size| usize::from(size.ws_col))
            .filter(|columns| *columns > 0)
    } else {
        None
    };
    columns
        .or_else(|| std::env::var("COLUMNS").ok()?.parse().ok())
        .unwrap_or(80)
        .max(NARROWEST)
}

/// How wide a table may be: as wide as the terminal, or $COLUMNS; where the
/// output goes to a file or a program, nothing is cut.
pub(crate) fn table_width() -> usize {
    if io::stdout().is_terminal() || std::env::var_os("COLUMNS").is_some() {
        width()
    } else {
        usize::MAX
    }
}

/// The height of the terminal in lines, when there is one.
pub(crate) fn height() -> Option<usize> {
    rustix::termios::tcgetwinsize(io::stdout())
        .ok()
        .map(|size| usize::from(size.ws_row))
        .filter(|rows| *rows > 0)
}

/// `text` in at most `width` columns, with `…` where something is missing.
pub(crate) fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut fitted = String::new();
    let mut used = 0;
    for c in text.chars() {
        let columns = c.width().unwrap_or(0);
        if used + columns + 1 > width {
            break;
        }
        used += columns;
        fitted.push(c);
    }
    if width > 0 {
        fitted.push('…');
    }
    fitted
}

/// `text` broken between words into lines of at most `width` columns. A word
/// that is longer than a line is cut into several.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() {
        return Vec::new();
    }
    let options = textwrap::Options::new(width.max(1))
        // A unit's name, or a command, is not broken at its hyphens.
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::wrap(&words.join(" "), options)
        .into_iter()
        .map(std::borrow::Cow::into_owned)
        .collect()
}

/// Whether a command that only root may run needs `sudo` before it, and this host has that.
pub(crate) fn needs_sudo() -> bool {
    !rustix::process::geteuid().is_root() && prunella_daemon::notifier::has_sudo()
}

/// This very command for root, to be copied.
pub(crate) fn with_sudo() -> String {
    let words = std::env::args_os().skip(1);
    let words: Vec<String> = words
        .map(|word| shell_word(&one_line(&word.to_string_lossy(), 500)))
        .collect();
    format!("sudo prunella {}", words.join(" "))
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("--dry-run", "--dry-run")]
    #[case("web@1.service", "web@1.service")]
    #[case("until the backup's done", r"'until the backup'\''s done'")]
    #[case("", "''")]
    fn words_of_a_shell(#[case] word: &str, #[case] shown: &str) {
        assert_eq!(shell_word(word), shown);
    }

    #[rstest]
    #[case("nginx", 5, "nginx")]
    #[case("nginx.service", 6, "nginx…")]
    #[case("日本語", 5, "日本…")]
    #[case("日本語", 4, "日…")]
    #[case("abc", 1, "…")]
    #[case("abc", 0, "")]
    fn text_is_fitted(#[case] text: &str, #[case] width: usize, #[case] fitted: &str) {
        assert_eq!(fit(text, width), fitted);
        assert!(fit(text, width).width() <= width);
    }

    #[test]
    fn text_is_wrapped_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("  ", 3), Vec::<String>::new());
    }
}
