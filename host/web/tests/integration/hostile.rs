//! Whatever others write, in every place where a page shows it.

use axum::http::StatusCode;

use crate::{daemon::TestDaemon, web::Web};

/// Each page, with everything on it.
const PAGES: [&str; 13] = [
    "/",
    "/services/web.service",
    "/services/web.service?span=week",
    "/incidents",
    "/incidents?unit=web&days=7&outcome=healed",
    "/incidents/x",
    "/incidents/open",
    "/needs-you",
    "/strategies",
    "/alerts",
    "/audit",
    "/alerts?state=failed",
    "/incidents/none/none",
];

/// The markup of a page that is not text: `<`, a name, and attributes in quotes.
fn elements(page: &str) -> Vec<&str> {
    page.match_indices('<')
        .map(|(at, _)| {
            let rest = &page[at..];
            &rest[..rest.find('>').unwrap() + 1]
        })
        .collect()
}

async fn pages(text: &str, addresses: &[&'static str]) -> Vec<(&'static str, String)> {
    let daemon = TestDaemon::start(text);
    let web = Web::new(&daemon.socket, false);
    let mut pages = Vec::new();
    for &address in addresses {
        let page = web.page(address).await;
        let missing = address.ends_with("none/none");
        let expected = if missing {
            StatusCode::NOT_FOUND
        } else {
            StatusCode::OK
        };
        assert_eq!(page.status, expected, "{address}: {}", page.body);
        pages.push((address, page.body));
    }
    pages.push((
        "heal",
        web.form("/services/web.service/heal", "same-origin", "csrf=t0k3n")
            .await
            .body,
    ));
    pages.push((
        "undo",
        web.form("/incidents/x/undo", "same-origin", "csrf=t0k3n")
            .await
            .body,
    ));
    pages
}

#[tokio::test]
async fn markup_stays_text() {
    let markup =
        "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;--><style>*{}</style>";
    let plain = pages("plain words", &PAGES).await;
    for ((address, hostile), (_, plain)) in pages(markup, &PAGES).await.into_iter().zip(plain) {
        assert!(!hostile.contains("<script>"), "{address}");
        assert!(!hostile.contains("<img src=x"), "{address}");
        assert!(!hostile.contains("<style"), "{address}");
        for element in elements(&hostile) {
            let attributes = element.split_once(' ').map_or("", |(_, rest)| rest);
            let outside: String = attributes.split('"').step_by(2).collect();
            assert!(
                !outside.contains("onerror") && !outside.contains("style"),
                "{address}: {element}"
            );
        }
        // The same elements as with plain words: nothing was added, nothing was closed.
        let names = |page: &str| -> Vec<String> {
            elements(page)
                .into_iter()
                .map(|it| {
                    it.trim_matches(['<', '>'])
                        .split([' ', '\n'])
                        .next()
                        .unwrap()
                        .to_owned()
                })
                .collect()
        };
        assert_eq!(names(&hostile), names(&plain), "{address}");
    }
}

#[tokio::test]
async fn what_reorders_or_hides_is_seen() {
    for (address, page) in pages("a\u{202e}b\u{2066}c\u{200b}d\x1b[31m\u{feff}", &PAGES).await {
        let hidden = page
            .chars()
            .find(|c| prunella_core::text::is_deceptive(*c) || (c.is_control() && *c != '\n'));
        assert_eq!(hidden, None, "{address}");
        if !address.contains("none") {
            assert!(page.contains("\\u{202e}"), "{address} shows none of it");
        }
    }
}

#[tokio::test]
async fn a_line_without_end_is_cut() {
    let line = "x".repeat(1 << 20);
    // Each kind of page once: so much text takes its time.
    let each = [
        "/",
        "/services/web.service",
        "/incidents",
        "/incidents/x",
        "/needs-you",
        "/strategies",
        "/alerts",
        "/audit",
    ];
    for (address, page) in pages(&line, &each).await {
        assert!(page.len() < 400 << 10, "{address}: {}", page.len());
        let longest = page.split(|c| c != 'x').map(str::len).max().unwrap();
        assert!(
            longest <= prunella_web::text::LONGEST,
            "{address}: {longest}"
        );
    }
}

#[tokio::test]
async fn pages_have_no_inline_script_or_style() {
    for (address, page) in pages("plain words", &PAGES).await {
        for element in elements(&page) {
            assert!(!element.contains(" style="), "{address}: {element}");
            assert!(
                !element.contains(" on") || !element.contains("=\"javascript"),
                "{address}"
            );
            assert!(!element.starts_with("<style"), "{address}");
            if element.starts_with("<script") {
                assert!(element.contains("src=\"/assets/"), "{address}: {element}");
            }
        }
        assert_eq!(page.matches("<h1").count(), 1, "{address}");
        assert!(
            page.contains("lang=\"en\"") && page.contains("<main id=\"main\""),
            "{address}"
        );
    }
}
