//! Reads `[[release]]`.

use std::{ops::Range, time::Duration};

use prunella_core::remedy::{Release, Remedy};

use crate::reader::{Reader, Section};

/// A release is proven after so long, unless it is said.
const HEALTHY_FOR: Duration = Duration::from_secs(600);

/// A failure within so long is tied to a change, unless it is said.
const WITHIN: Duration = Duration::from_secs(1_800);

/// It is not looked more often.
const LEAST: Duration = Duration::from_secs(1);

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<Remedy> {
    reader.only(section, &["name", "path", "healthy-for", "within"]);
    let healthy_for = reader.duration(section, "healthy-for", LEAST);
    let within = reader.duration(section, "within", LEAST);
    if !section.table.contains_key("path") {
        reader.error_help(
            at.clone(),
            "[[release]] has no path",
            "name the link that says which release is in force, such as `path = \
             \"/srv/web/current\"`",
        );
        return None;
    }
    let text = reader.text(section, "path", "/srv/web/current")?;
    let span = text.1.clone();
    let path = reader.path("path", text)?;
    if path.file_name().is_none() {
        reader.error_help(
            span,
            format!("{} is no link", path.display()),
            "name the link that says which release is in force",
        );
        return None;
    }
    Some(Remedy::Release(Release {
        path,
        healthy_for: healthy_for.unwrap_or(HEALTHY_FOR),
        within: within.unwrap_or(WITHIN),
    }))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tests::{load, service, shown};

    #[test]
    fn a_release_is_read() {
        let text = "unit = \"web\"\n[[release]]\nname = \"current\"\npath = \"/srv/web/current\"\n";
        let loaded = load(&[("services.d/web.toml", text)]);
        assert_eq!(shown(&loaded), "");
        let config = loaded.config.unwrap();
        let service = &config.services["web.service"];
        assert_eq!(
            service.remedies["current"],
            Remedy::Release(Release {
                path: "/srv/web/current".into(),
                healthy_for: Duration::from_secs(600),
                within: Duration::from_secs(1_800),
            })
        );
        let last = service.strategies.last().map(|name| name.as_str());
        assert_eq!(last, Some("rollback"));
    }

    #[rstest]
    #[case::none("", "[[release]] has no path\n --> services.d/web.toml:2:1")]
    #[case::root("path = \"/\"", "/ is no link\n --> services.d/web.toml:4:8")]
    #[case::relative("path = \"current\"", "`path` must be an absolute path")]
    #[case::within(
        "path = \"/x\"\nwithin = \"1ms\"",
        "`within` must be at least 1s\n --> services.d/web.toml:5:10"
    )]
    #[case::key("path = \"/x\"\ntarget = \"y\"", "unknown key `target`")]
    fn mistakes(#[case] text: &str, #[case] says: &str) {
        let shown = service(&format!(
            "unit = \"web\"\n[[release]]\nname = \"a\"\n{text}\n"
        ));
        assert!(shown.contains(says), "{shown}");
    }
}
