//! Figures in `docs/performance.md`: a part of it between two marks is written by the benchmark
//! that measured them, and by nobody else.

use std::fs;

use anyhow::{Context, Result};

use super::figures::{Figure, markdown};
use crate::step::workspace;

const FILE: &str = "docs/performance.md";

/// Ends each part.
const END: &str = "<!-- end of measured figures -->";

/// Puts figures in the place of those that `group` had before, below a line that says what they
/// were measured on.
pub(super) fn write(group: &str, figures: &[Figure], on: &str) -> Result<()> {
    let path = workspace().join(FILE);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {FILE}"))?;
    let new = format!("{on}\n\n{}", markdown(figures));
    let text = replaced(&text, group, &new)?;
    fs::write(&path, text).with_context(|| format!("cannot write {FILE}"))?;
    eprintln!("    {FILE} has the figures of {group}");
    Ok(())
}

fn replaced(text: &str, group: &str, new: &str) -> Result<String> {
    let begin = format!("<!-- measured figures: {group} -->\n");
    let missing = || format!("{FILE} has no part for the figures of {group}");
    let (before, rest) = text.split_once(&begin).with_context(missing)?;
    let (_, after) = rest.split_once(END).with_context(missing)?;
    Ok(format!("{before}{begin}\n{}\n\n{END}{after}", new.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_of_the_group_is_another() {
        let part = |group: &str, what: &str| {
            format!("<!-- measured figures: {group} -->\n\n{what}\n\n{END}\n")
        };
        let text = format!("A\n\n{}\nB\n\n{}", part("one", "old"), part("two", "old"));
        let expected = format!("A\n\n{}\nB\n\n{}", part("one", "old"), part("two", "new"));
        assert_eq!(replaced(&text, "two", "new\n").unwrap(), expected);
        assert!(replaced(&text, "three", "new").is_err());
    }
}
