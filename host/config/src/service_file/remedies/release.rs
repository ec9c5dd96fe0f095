//! Reads `[[release]]`.

use std::{ops::Range, time::Duration};

use prunella_core::{
    remedy::{Release, ReleaseOf, Remedy},
    text::one_line,
};

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
    reader.only(
        section,
        &["name", "path", "packages", "healthy-for", "within"],
    );
    let healthy_for = reader.duration(section, "healthy-for", LEAST);
    let within = reader.duration(section, "within", LEAST);
    let has = |key: &str| section.table.contains_key(key);
    let of = match (has("path"), has("packages")) {
        (true, false) => link(reader, section)?,
        (false, true) => packages(reader, section, at)?,
        (true, true) => {
            reader.error_help(
                at.clone(),
                "[[release]] has both `path` and `packages`",
                "make two of them, each with a name of its own",
            );
            return None;
        }
        (false, false) => {
            reader.error_help(
                at.clone(),
                "[[release]] has neither `path` nor `packages`",
                "name the link that says which release is in force, such as `path = \
                 \"/srv/web/current\"`, or the Debian packages that do: `packages = [\"shop\"]`",
            );
            return None;
        }
    };
    Some(Remedy::Release(Release {
        of,
        healthy_for: healthy_for.unwrap_or(HEALTHY_FOR),
        within: within.unwrap_or(WITHIN),
    }))
}

fn link(reader: &mut Reader<'_>, section: Section<'_>) -> Option<ReleaseOf> {
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
    Some(ReleaseOf::Path(path))
}

fn packages(reader: &mut Reader<'_>, section: Section<'_>, at: &Range<usize>) -> Option<ReleaseOf> {
    let mut packages: Vec<String> = Vec::new();
    for (name, span) in reader.texts(section, "packages", "\"shop\"") {
        if !is_package_name(name) {
            reader.error_help(
                span,
                format!("`{}` is no name of a Debian package", one_line(name, 80)),
                "write it as `dpkg -l` does, without a version: small letters, digits, `+`, `-` \
                 and `.`",
            );
            return None;
        }
        if packages.iter().any(|one| one == name) {
            reader.warn(span, format!("{name} is named twice"), "name it once");
        } else {
            packages.push(name.to_owned());
        }
    }
    if packages.is_empty() {
        reader.error_help(
            at.clone(),
            "[[release]] names no package",
            "name the Debian packages that change together, the service's own first: `packages = \
             [\"shop\", \"shop-common\"]`",
        );
        return None;
    }
    Some(ReleaseOf::Packages(packages))
}

/// As Debian Policy (5.6.7) has it.
fn is_package_name(name: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() >= 2
        && name.bytes().next().is_some_and(is_first)
        && name
            .bytes()
            .all(|byte| is_first(byte) || b"+-.".contains(&byte))
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
                of: ReleaseOf::Path("/srv/web/current".into()),
                healthy_for: Duration::from_secs(600),
                within: Duration::from_secs(1_800),
            })
        );
        let last = service.strategies.last().map(|name| name.as_str());
        assert_eq!(last, Some("rollback"));
    }

    #[rstest]
    #[case::none(
        "",
        "[[release]] has neither `path` nor `packages`\n --> services.d/web.toml:2:1"
    )]
    #[case::both(
        "path = \"/x\"\npackages = [\"shop\"]",
        "[[release]] has both `path` and `packages`\n --> services.d/web.toml:2:1"
    )]
    #[case::version(
        "packages = [\"shop\", \"shop-common=1.2\"]",
        "`shop-common=1.2` is no name of a Debian package\n --> services.d/web.toml:4:21"
    )]
    #[case::twice("packages = [\"shop\", \"shop\"]", "shop is named twice")]
    #[case::empty(
        "packages = []",
        "[[release]] names no package\n --> services.d/web.toml:2:1"
    )]
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
