//! What the demo prints, and how: a hundred columns, with colours where they
//! are wanted (`NO_COLOR` is heard).

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Nothing is wider.
pub(crate) const WIDTH: usize = 100;

pub(crate) const PLAIN: Style = Style::new();
/// Of less interest.
pub(crate) const QUIET: Style = Style::new().dimmed();
pub(crate) const STRONG: Style = Style::new().bold();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Held back, or waited for.
pub(crate) const CARE: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// Something is done.
pub(crate) const ACT: Style = AnsiColor::Cyan.on_default();

/// A heading, with a line above it.
pub(crate) fn heading(number: &str, text: &str) {
    let rule = "─".repeat(WIDTH);
    anstream::println!("\n{QUIET}{rule}{QUIET:#}\n{STRONG}{number:>2}  {text}{STRONG:#}");
}

/// A paragraph below a heading.
pub(crate) fn paragraph(text: &str) {
    indented(4, "", QUIET, text);
}

/// A command, as it was typed.
pub(crate) fn command(text: &str) {
    indented(4, "# ", STRONG, text);
}

/// Text in `style`, broken between words, `margin` columns from the left;
/// `lead` stands before its first line, the others keep clear of it.
pub(crate) fn indented(margin: usize, lead: &str, style: Style, text: &str) {
    let column = lead.width();
    for (number, line) in wrap(text, WIDTH.saturating_sub(margin + column))
        .iter()
        .enumerate()
    {
        let lead = if number == 0 { lead } else { "" };
        anstream::println!(
            "{:margin$}{QUIET}{lead:column$}{QUIET:#}{style}{line}{style:#}",
            ""
        );
    }
}

/// `text` without what could do something to a terminal, in lines of at most
/// `width` columns, broken between words where it can be.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_whitespace() {
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for c in word.chars().filter(|c| !c.is_control()) {
            if line.width() + c.width().unwrap_or(0) > width {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// At most `lines` lines of `text`, with `…` where something is missing.
pub(crate) fn wrap_some(text: &str, width: usize, lines: usize) -> Vec<String> {
    let mut all = wrap(text, width);
    if all.len() > lines {
        all.truncate(lines);
        if let Some(last) = all.last_mut() {
            while last.width() + 1 > width {
                last.pop();
            }
            last.push('…');
        }
    }
    all
}

/// Microseconds as people read them: `870 µs`, `12.3 ms`, `1.42 s`.
pub(crate) fn took(micros: u64) -> String {
    let whole = std::time::Duration::from_micros(micros);
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{:.1} ms", whole.as_secs_f64() * 1e3),
        10_000..1_000_000 => format!("{} ms", whole.as_millis()),
        _ => format!("{:.2} s", whole.as_secs_f64()),
    }
}

/// A table in which every column is as wide as it has to be, and the last one
/// is cut where the line ends.
pub(crate) fn table(rows: &[Vec<(String, Style)>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|(text, _)| text.width()).max().unwrap_or(0)
        })
        .collect();
    for row in rows {
        let (mut line, mut used) = (String::from("    "), 4);
        for ((text, style), width) in row.iter().zip(&widths) {
            let text = wrap_some(text, WIDTH.saturating_sub(used), 1).join("");
            let gap = (width + 2).saturating_sub(text.width());
            line.push_str(&format!("{style}{text}{style:#}{:gap$}", ""));
            used += width + 2;
        }
        anstream::println!("{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words_and_keeps_its_width() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("日本語", 4), ["日本", "語"]);
        assert_eq!(wrap(" ", 3), Vec::<String>::new());
    }

    #[test]
    fn control_characters_are_left_out() {
        assert_eq!(wrap("a\u{1b}[2Jb\u{7}", 20), ["a[2Jb"]);
    }

    #[test]
    fn a_cut_line_ends_in_an_ellipsis() {
        assert_eq!(wrap_some("one two three four", 9, 1), ["one two…"]);
        assert_eq!(wrap_some("onetwothree", 6, 1), ["onetw…"]);
        assert_eq!(wrap_some("one two", 9, 1), ["one two"]);
    }

    #[test]
    fn times_are_short() {
        let shown = [870, 1_500, 12_345, 1_420_000].map(took);
        assert_eq!(shown, ["870 µs", "1.5 ms", "12 ms", "1.42 s"]);
    }
}
