//! `cargo xtask book`: the documentation as a book.
//!
//! Its chapters are the files in `docs/`, readable as they are; mdBook only
//! renders them. What the build checks without mdBook is checked by every test
//! run: that the reference is what the contract says, that every chapter stands
//! in the summary, and that no link leads nowhere.

mod reference;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{
    step::{take, workspace},
    tool::Tool,
};

const MDBOOK: Tool = Tool {
    name: "mdbook",
    version: "0.5.4",
};

/// `cargo xtask book`
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only write the reference, `docs/reference.md`, anew from the contract's comments
    #[arg(long)]
    reference: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let page = reference_page();
    let text = reference::write(&workspace().join("wit"))?;
    if fs::read_to_string(&page).is_ok_and(|there| there == text) {
        eprintln!("{} is up to date", page.display());
    } else {
        fs::write(&page, text).with_context(|| format!("cannot write {}", page.display()))?;
        eprintln!("{} is written anew", page.display());
    }
    if options.reference {
        return Ok(());
    }
    check()?;
    take(MDBOOK.command()?.args(["build", "docs"]))?;
    eprintln!(
        "\nthe book: {}",
        workspace().join("target/book/index.html").display()
    );
    Ok(())
}

/// What has to hold of the book, without building it.
pub(crate) fn check() -> Result<()> {
    let stale =
        fs::read_to_string(reference_page())? != reference::write(&workspace().join("wit"))?;
    ensure!(
        !stale,
        "docs/reference.md is not what the comments in wit/ say: `cargo xtask book --reference` \
         writes it anew"
    );
    let docs = workspace().join("docs");
    let pages = pages(&docs)?;
    let summary = links(&fs::read_to_string(docs.join("SUMMARY.md"))?);
    for page in &pages {
        let name = page.file_name().unwrap_or_default().to_string_lossy();
        ensure!(
            name == "SUMMARY.md" || summary.iter().any(|link| *link == name),
            "docs/{name} stands in no chapter of docs/SUMMARY.md"
        );
    }
    let readme = workspace().join("README.md");
    for page in pages.iter().chain([&readme]) {
        let text = fs::read_to_string(page)?;
        let folder = page.parent().unwrap_or(page);
        for link in links(&text) {
            check_link(folder, &link)
                .with_context(|| format!("{}: the link to `{link}`", page.display()))?;
        }
    }
    Ok(())
}

fn reference_page() -> PathBuf {
    workspace().join("docs/reference.md")
}

fn pages(docs: &Path) -> Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(docs).with_context(|| format!("cannot read {}", docs.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages.sort();
    Ok(pages)
}

/// Where the links of a page lead, but for those inside code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code || line.starts_with("    ") {
            continue;
        }
        // Every second piece between backticks is code.
        let prose: String = line.split('`').step_by(2).collect();
        for piece in prose.split("](").skip(1) {
            if let Some((link, _)) = piece.split_once(')') {
                links.push(link.to_owned());
            }
        }
    }
    links.sort();
    links.dedup();
    links
}

/// That there is what a link names, on this disk: a file, and in it the heading.
fn check_link(folder: &Path, link: &str) -> Result<()> {
    if link.contains("://") || link.starts_with("mailto:") {
        return Ok(());
    }
    let (path, heading) = link.split_once('#').unwrap_or((link, ""));
    if path.is_empty() {
        return Ok(());
    }
    let file = folder.join(path);
    ensure!(file.exists(), "there is no {}", file.display());
    if !heading.is_empty() {
        let text = fs::read_to_string(&file)?;
        ensure!(
            text.lines()
                .filter(|line| line.starts_with('#'))
                .any(|line| anchor(line) == heading),
            "there is no heading `#{heading}` in {}",
            file.display()
        );
    }
    Ok(())
}

/// The anchor of a heading, as mdBook and GitHub make it.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || matches!(c, '-' | '_') => Some(c.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test's panic is its report")]

    use super::*;

    #[test]
    fn the_book_is_whole() {
        check().unwrap();
    }

    #[test]
    fn links_are_found_and_code_is_none() {
        let text = "See [a](a.md), [`b`](b.md#c) and `[x](not.md)`.\n\
                    ```\n[y](not.md)\n```\n    [z](not.md)\n![i](i.png)";
        assert_eq!(links(text), ["a.md", "b.md#c", "i.png"]);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let folder = workspace().join("docs");
        assert!(check_link(&folder, "architecture.md").is_ok());
        assert!(check_link(&folder, "architecture.md#map").is_ok());
        assert!(check_link(&folder, "architecture.md#no-such-heading").is_err());
        assert!(check_link(&folder, "no-such-page.md").is_err());
        assert!(check_link(&folder, "https://example.org/").is_ok());
    }
}
