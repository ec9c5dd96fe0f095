//! What `prunella plugin new` writes does the same in every language.

use prunella_core::policy::Limits;
use prunella_languages::{Built, template};
use prunella_scaffold::Language;
use prunella_simulation::{File, Sim};
use rstest::rstest;

/// The template, which is no larger, and needs no more memory to say who it is; and
/// how many settings it declares.
#[track_caller]
fn guard(language: Language, size: usize, memory: usize) -> (Built, usize) {
    let guard = template(language, "index-guard").build();
    assert!(guard.wasm.len() <= size, "{} bytes", guard.wasm.len());

    let (description, usage) = guard.describe();
    assert_eq!(description.name, "index-guard");
    assert!(usage.memory_peak <= memory, "{usage:?}");
    assert!(memory < Limits::default().memory);
    (guard, description.settings.len())
}

fn web() -> Sim {
    Sim::new("web.service").failed("exit-code")
}

#[rstest]
#[case::c(Language::C, 20 << 10, 1 << 20)]
#[case::python(Language::Python, 20 << 20, 16 << 20)]
#[case::javascript(Language::JavaScript, 14 << 20, 12 << 20)]
fn the_template(#[case] language: Language, #[case] size: usize, #[case] memory: usize) {
    let (guard, settings) = guard(language, size, memory);
    assert_eq!(settings, 1);

    // With its cache it is started.
    let sim = web().file("cache", File::directory());
    assert_eq!(
        guard.assess(&sim),
        "applies 60: `cache` is there, and web.service has failed (exit-code)"
    );
    assert_eq!(sim.acts(), [""; 0]);
    assert_eq!(
        guard.heal(&sim),
        "healed: started web.service: it is running"
    );
    assert_eq!(sim.acts(), ["start web.service"]);

    // Without it nobody acts.
    let sim = web().file("cache", File::directory().missing());
    assert_eq!(
        guard.assess(&sim),
        "veto: `cache` is not there, and web.service would only fail again without it"
    );

    // A service without a cache is not its business.
    assert_eq!(
        guard.assess(&web()),
        "not-applicable: no file `cache` is declared for web.service"
    );

    // The cache is called what the operator calls it.
    let sim = web()
        .setting("file", "index")
        .file("index", File::directory());
    assert_eq!(
        guard.assess(&sim),
        "applies 60: `index` is there, and web.service has failed (exit-code)"
    );

    // What it was not granted is denied, and the operator reads so.
    let sim = web().file("cache", File::directory()).granting_nothing();
    let said = guard.heal(&sim);
    assert!(said.starts_with("failure denied not-granted: "), "{said}");
    assert_eq!(sim.acts(), [""; 0]);

    // A start that fails is no success.
    let sim = web()
        .file("cache", File::directory())
        .starts_when("its cache is empty", |_| false);
    assert_eq!(
        guard.heal(&sim),
        "failed: systemd ended the start of web.service with `failed`"
    );
}

/// It says more of the start than the others, whose templates have no SDK.
#[test]
fn the_template_in_rust() {
    let (guard, _) = guard(Language::Rust, 80_000, 2 << 20);

    let sim = web().file("cache", File::directory());
    assert_eq!(
        guard.heal(&sim),
        "healed: started web.service: active (running)"
    );
    assert_eq!(sim.acts(), ["start web.service"]);

    let sim = web().file("cache", File::directory().missing());
    assert_eq!(
        guard.assess(&sim),
        "veto: `cache` is not there, and web.service would only fail again without it"
    );
}
