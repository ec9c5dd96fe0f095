//! Settings of known programs with which they ask for less of their host.

use std::{path::Path, time::Duration};

use prunella_core::duration;

use super::{
    Finding,
    remedies::{ProposedRemedy, ProposedValue, text},
    text_file,
};

/// How seldom Prometheus may be made to scrape.
const INTERVALS: [&str; 4] = ["15s", "30s", "1m", "2m"];

/// How often Prometheus scrapes, and how often it might. What its file does not say is not
/// proposed: a value is changed, and none is added.
pub(super) fn scrapes(root: &Path, config: &str) -> Option<Finding<ProposedRemedy>> {
    let read = text_file::read(&root.join(config.trim_start_matches('/'))).ok()?;
    let now = interval(&read)?;
    let lasts = duration::parse(now).ok()?;
    let is_longer =
        |other: &&str| duration::parse(other).is_ok_and(|other: Duration| other > lasts);
    let values: Vec<String> = [now]
        .into_iter()
        .chain(INTERVALS.into_iter().filter(is_longer))
        .map(str::to_owned)
        .collect();
    (values.len() > 1).then(|| {
        Finding::new(
            ProposedRemedy::new(
                "config-update",
                "scrapes",
                vec![
                    ("path", text(config)),
                    ("key", text("global.scrape_interval")),
                    ("values", ProposedValue::List(values)),
                    ("check", text("config")),
                ],
            ),
            "it runs Prometheus; it needs less when it scrapes less often, and `check` proves the \
             file before it is in force",
        )
    })
}

/// `scrape_interval` in the block `global`.
fn interval(config: &str) -> Option<&str> {
    let mut lines = config
        .lines()
        .skip_while(|line| line.trim_end() != "global:")
        .skip(1)
        .take_while(|line| line.is_empty() || line.starts_with([' ', '#']));
    let value = lines.find_map(|line| line.trim().strip_prefix("scrape_interval:"))?;
    let value = value.split('#').next()?.trim();
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_file_says_of_all_scrapes_is_read() {
        let debian = "# my global config\nglobal:\n  scrape_interval:     15s # Set it.\n\
                      scrape_configs:\n  - job_name: x\n    scrape_interval: 5s\n";
        assert_eq!(interval(debian), Some("15s"));
        let of_a_job = "global:\n  evaluation_interval: 1m\n\
                        scrape_configs:\n  - job_name: x\n    scrape_interval: 5s\n";
        assert_eq!(interval(of_a_job), None);
        assert_eq!(interval("global:\n  scrape_interval: # none\n"), None);
    }

    #[test]
    fn longer_intervals_are_proposed() {
        let folder = tempfile::tempdir().unwrap();
        let write = |interval: &str| {
            let text = format!("global:\n  scrape_interval: {interval}\n");
            std::fs::write(folder.path().join("p.yml"), text).unwrap();
        };
        let values = || {
            let found = scrapes(folder.path(), "/p.yml")?;
            let (_, values) = found
                .what
                .keys
                .into_iter()
                .find(|(key, _)| *key == "values")?;
            Some(values)
        };
        let list = |values: &[&str]| {
            let values = values.iter().map(|value| (*value).to_owned());
            Some(ProposedValue::List(values.collect()))
        };
        write("20s");
        assert_eq!(values(), list(&["20s", "30s", "1m", "2m"]));
        write("5m");
        assert_eq!(values(), None);
    }
}
