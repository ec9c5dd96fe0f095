//! Tables that fit: columns side by side, without rules, cut where they must.

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use crate::output::{QUIET, fit, wrap};

/// Between two columns.
const GAP: usize = 2;

#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: text.into(),
            style,
        }
    }
}

/// How far below its row a text is indented that has no room beside it.
const BELOW: usize = 4;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    /// Gets lines of its own below each row, when the whole of it has no room
    /// beside the others.
    below: bool,
    /// Cut down to this at most, when there is no room; never, when absent.
    shrinks_to: Option<usize>,
    /// Left out altogether before anything is cut below its limit.
    optional: bool,
}

impl Column {
    /// One that always has all its room.
    pub(crate) const fn fixed(title: &'static str) -> Self {
        Self {
            title,
            below: false,
            shrinks_to: None,
            optional: false,
        }
    }

    /// One that is never cut: without room beside the others it goes below.
    pub(crate) const fn below(title: &'static str) -> Self {
        Self {
            below: true,
            ..Self::fixed(title)
        }
    }

    /// One that may be cut.
    pub(crate) const fn shrinks(title: &'static str, to: usize) -> Self {
        Self {
            title,
            below: false,
            shrinks_to: Some(to),
            optional: false,
        }
    }

    /// One that may be cut, and left out.
    pub(crate) const fn optional(title: &'static str, to: usize) -> Self {
        Self {
            title,
            below: false,
            shrinks_to: Some(to),
            optional: true,
        }
    }
}

/// Rows of cells below titles.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; cells beyond the columns are dropped.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The table in at most `width` columns, indented by `indent`. A column in
    /// which nothing stands is left out.
    pub(crate) fn render(&self, width: usize, indent: usize) -> String {
        let room = width.saturating_sub(indent);
        let (widths, below) = self.widths(room);
        let mut text = String::new();
        let titles: Vec<Cell> = self
            .columns
            .iter()
            .map(|column| Cell::new(column.title, QUIET))
            .collect();
        for row in std::iter::once(&titles).chain(&self.rows) {
            let mut line = String::new();
            let mut owed = indent;
            for (cell, width) in row.iter().zip(&widths) {
                let Some(width) = *width else { continue };
                let shown = fit(&cell.text, width);
                let style = cell.style;
                if !shown.is_empty() {
                    line.extend(std::iter::repeat_n(' ', owed));
                    owed = 0;
                    line.push_str(&format!("{style}{shown}{style:#}"));
                }
                owed += width - shown.width() + GAP;
            }
            text.push_str(&line);
            text.push('\n');
            if below && !std::ptr::eq(row, &titles) {
                self.below(&mut text, row, width, indent + BELOW);
            }
        }
        text
    }

    /// What has no room beside the rest of its row.
    fn below(&self, text: &mut String, row: &[Cell], width: usize, indent: usize) {
        for (cell, column) in row.iter().zip(&self.columns) {
            if !column.below {
                continue;
            }
            let style = cell.style;
            for line in wrap(&cell.text, width.saturating_sub(indent)) {
                text.extend(std::iter::repeat_n(' ', indent));
                text.push_str(&format!("{style}{line}{style:#}\n"));
            }
        }
    }

    /// The width of each column, `None` for one that is left out; and whether
    /// those that may go below do.
    fn widths(&self, available: usize) -> (Vec<Option<usize>>, bool) {
        let mut widths: Vec<Option<usize>> = (0..self.columns.len())
            .map(|n| {
                let widest = self
                    .rows
                    .iter()
                    .filter_map(|row| row.get(n))
                    .map(|cell| cell.text.width())
                    .max()
                    .unwrap_or(0);
                let title = self.columns.get(n).map_or(0, |c| c.title.width());
                (widest > 0).then(|| widest.max(title))
            })
            .collect();
        let needed = |widths: &[Option<usize>]| {
            let shown = widths.iter().flatten().count();
            widths.iter().flatten().sum::<usize>() + GAP * shown.saturating_sub(1)
        };
        let below = needed(&widths) > available && self.columns.iter().any(|c| c.below);
        if below {
            for (width, column) in widths.iter_mut().zip(&self.columns) {
                *width = width.filter(|_| !column.below);
            }
        }
        loop {
            let excess = needed(&widths).saturating_sub(available);
            if excess == 0 {
                return (widths, below);
            }
            // Take from whichever has the most to give.
            let spare = |(column, width): (&Column, &Option<usize>)| {
                width.map_or(0, |width| {
                    column
                        .shrinks_to
                        .map_or(0, |to| width.saturating_sub(to.max(column.title.width())))
                })
            };
            let richest = self
                .columns
                .iter()
                .zip(&widths)
                .map(spare)
                .enumerate()
                .max_by_key(|(_, spare)| *spare)
                .filter(|(_, spare)| *spare > 0);
            if let Some((n, spare)) = richest
                && let Some(Some(width)) = widths.get_mut(n)
            {
                // Half of it at most, so that two wide columns share the cut.
                *width -= excess.min(spare.div_ceil(2));
                continue;
            }
            let dropped = self
                .columns
                .iter()
                .zip(&widths)
                .rposition(|(column, width)| column.optional && width.is_some());
            match dropped.and_then(|n| widths.get_mut(n)) {
                Some(width) => *width = None,
                // Nothing left to give: lines get longer than they should be.
                None => return (widths, below),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::PLAIN;

    fn table() -> Table {
        let mut table = Table::new(&[
            Column::shrinks("UNIT", 8),
            Column::fixed("STATE"),
            Column::optional("DOMAIN", 6),
        ]);
        for (unit, state, domain) in [
            ("nginx.service", "running", "web shop"),
            ("postgresql@15-main.service", "failed", ""),
        ] {
            table.row(vec![
                Cell::new(unit, PLAIN),
                Cell::new(state, PLAIN),
                Cell::new(domain, PLAIN),
            ]);
        }
        table
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn with_room_everything_is_shown() {
        assert_eq!(
            plain(&table().render(80, 0)),
            "UNIT                        STATE    DOMAIN\n\
             nginx.service               running  web shop\n\
             postgresql@15-main.service  failed\n"
        );
    }

    #[test]
    fn it_fits_whatever_the_width() {
        for width in 20..60 {
            for line in plain(&table().render(width, 2)).lines() {
                assert!(line.width() <= width, "{width}: {line:?}");
            }
        }
    }

    #[test]
    fn the_least_important_column_is_cut_first() {
        let narrow = plain(&table().render(20, 0));
        assert!(!narrow.contains("DOMAIN"), "{narrow}");
        assert!(narrow.contains("running"), "{narrow}");
    }

    #[test]
    fn a_column_without_room_goes_below() {
        let mut table = Table::new(&[Column::fixed("ID"), Column::below("HOW")]);
        for (id, how) in [
            ("1", "it was restarted, and is well"),
            ("2", ""),
            ("3", "x"),
        ] {
            table.row(vec![Cell::new(id, PLAIN), Cell::new(how, PLAIN)]);
        }
        assert_eq!(
            plain(&table.render(80, 0)),
            "ID  HOW\n1   it was restarted, and is well\n2\n3   x\n"
        );
        assert_eq!(
            plain(&table.render(22, 0)),
            "ID\n1\n    it was restarted,\n    and is well\n2\n3\n    x\n"
        );
    }

    #[test]
    fn an_empty_column_is_left_out() {
        let mut table = Table::new(&[Column::fixed("A"), Column::fixed("B")]);
        table.row(vec![Cell::new("x", PLAIN), Cell::new("", PLAIN)]);
        assert_eq!(plain(&table.render(80, 0)), "A\nx\n");
    }
}
