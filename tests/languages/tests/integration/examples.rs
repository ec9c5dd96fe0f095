//! The worked examples of `sdk/examples`.

use prunella_core::service::ProbeKind;
use prunella_languages::example;
use prunella_scaffold::Language;
use prunella_simulation::{Check, Sim};

fn web() -> Sim {
    Sim::new("web.service").failed("exit-code")
}

#[test]
fn disk_guard_in_c() {
    let guard = example(Language::C).build();
    assert_eq!(
        guard.assess(&web().disk(20 << 30, 12 << 20)),
        "veto: there is no room on /var: 12 MiB of 20480 are free, and it needs 64"
    );
    assert_eq!(
        guard.assess(&web().disk(20 << 30, 10 << 30)),
        "not-applicable: there is room on /var: 10240 MiB of 20480 are free"
    );
    assert_eq!(
        guard.assess(&web().disk(20 << 30, 12 << 20).setting("mib-free", 8)),
        "not-applicable: there is room on /var: 12 MiB of 20480 are free"
    );
    let sim = web();
    assert_eq!(guard.heal(&sim), "not-applicable: it only looks");
    assert_eq!(sim.acts(), [""; 0]);
}

#[test]
fn pending_migration_in_python() {
    let migration = example(Language::Python)
        .with(
            "src/strategy.py",
            "        if schema not in incident.checks():\n",
            "        if unit == 'odd.service':\n            raise ValueError('it is odd')\n\
             \x20       if schema not in incident.checks():\n",
        )
        .build();
    // What an exception said is not lost.
    let said = migration.breaks_off(&Sim::new("odd.service").failed("signal"));
    assert!(said.contains("ValueError: it is odd"), "{said}");
    assert!(said.contains("strategy.py:"), "{said}");

    const SAID: &str = "django: You have 3 unapplied migration(s).";
    let hinted = || web().log("web.service", 4, SAID);
    let fails = || Check::fails(1, "3 to go");

    assert_eq!(
        migration.assess(&hinted()),
        "not-applicable: no check `schema` is declared for web.service"
    );
    assert_eq!(
        migration.assess(&web().check("schema", fails())),
        "not-applicable: web.service has said nothing of a schema"
    );
    // What the journal says is only a hint.
    let sim = hinted()
        .check("schema", Check::passes())
        .check("migrate", Check::passes().changing());
    assert_eq!(
        migration.assess(&sim),
        format!("not-applicable: web.service said «{SAID}», but `schema` passes")
    );
    assert_eq!(
        migration.assess(&hinted().check("schema", fails())),
        "veto: the schema is too old (`schema` does not pass), and no check `migrate` is \
         declared that would migrate it"
    );
    let sim = hinted()
        .check("schema", fails())
        .check("migrate", Check::passes().changing());
    assert_eq!(
        migration.assess(&sim),
        format!(
            "applies 80: the schema is too old: `schema` does not pass, and web.service said \
             «{SAID}»"
        )
    );

    // It is not started before the schema is what it should be.
    assert_eq!(
        migration.heal(&sim),
        "failed: `migrate` passed, and `schema` still does not"
    );
    assert!(!sim.status("web.service").is_up());
    let sim = hinted().check("schema", Check::passes()).check(
        "migrate",
        Check::fails(2, "locking…\nthe database is locked\n").changing(),
    );
    assert_eq!(
        migration.heal(&sim),
        "failed: `migrate` did not pass: the database is locked"
    );
    assert!(!sim.status("web.service").is_up());

    let sim = hinted()
        .check("schema", Check::passes())
        .check("migrate", Check::passes().changing());
    assert_eq!(
        migration.heal(&sim),
        "healed: migrated its database and started web.service: it is running"
    );
    assert_eq!(
        sim.acts(),
        ["run check migrate", "run check schema", "start web.service"]
    );
}

#[test]
fn warm_start_in_javascript() {
    let warm = example(Language::JavaScript)
        .with(
            "src/strategy.js",
            "    const names = own(incident);\n",
            "    if (unit === 'odd.service') throw new Error('it is odd');\n\
             \x20   const names = own(incident);\n",
        )
        .build();
    // What an error said is not lost.
    let said = warm.breaks_off(&Sim::new("odd.service").failed("signal"));
    assert!(said.contains("Error: it is odd"), "{said}");
    assert!(said.contains("strategy.js:"), "{said}");

    let probed = || web().probe("answers", ProbeKind::Tcp("127.0.0.1:80".to_owned()));

    assert_eq!(
        warm.assess(&web()),
        "not-applicable: no probe is declared for web.service"
    );
    assert_eq!(warm.assess(&probed()), "applies 60: web.service is down");

    let sim = probed();
    assert_eq!(
        warm.heal(&sim),
        "healed: started web.service; all its probes answered within 0 ms"
    );
    assert_eq!(sim.acts(), ["start web.service"]);
    assert_eq!(
        warm.assess(&sim),
        "not-applicable: web.service is up, and all its probes answer"
    );

    // Up is not enough.
    let sim = probed().mute("answers").setting("patience", 5);
    let said = warm.heal(&sim);
    assert!(
        said.starts_with("failed: web.service is up, and `answers` does not answer after 5000 ms"),
        "{said}"
    );
    assert_eq!(
        warm.assess(&sim),
        "applies 60: web.service is up, and does not answer answers"
    );
    let said = warm.heal(&sim);
    assert!(said.starts_with("failed: "), "{said}");
    assert_eq!(sim.acts(), ["start web.service", "restart web.service"]);
}
