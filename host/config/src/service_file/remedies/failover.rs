//! Reads `[[failover]]`.

use std::ops::Range;

use prunella_core::{
    UnitName,
    remedy::{Failover, Remedy, StandbyIs},
    service::Service,
};

use super::super::LEAST;
use crate::reader::{Reader, Section};

const STANDBY_IS: &[(&str, StandbyIs)] = &[
    ("stopped", StandbyIs::Stopped),
    ("running", StandbyIs::Running),
];

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<Remedy> {
    reader.only(
        section,
        &[
            "name",
            "standbys",
            "standby-is",
            "able",
            "fenced",
            "promote",
            "demote",
            "probes",
            "fail-back-after",
        ],
    );
    let standbys = standbys(reader, section, at)?;
    let standby_is = reader
        .one_of(section, "standby-is", STANDBY_IS)
        .unwrap_or(StandbyIs::Stopped);
    let mut text = |key, example| {
        let text = reader.text(section, key, example);
        text.map(|(text, _)| text.to_owned())
    };
    let able = text("able", "standby-able");
    let fenced = text("fenced", "is-down");
    let promote = text("promote", "promote");
    let demote = text("demote", "demote");
    let probes = reader.texts(section, "probes", "\"front\"");
    let probes = probes
        .into_iter()
        .map(|(text, _)| text.to_owned())
        .collect();
    let fail_back_after = reader.duration(section, "fail-back-after", LEAST);
    let mut mistake = |message: &str, help: &str| {
        reader.error_help(at.clone(), message, help);
        None
    };
    if standby_is == StandbyIs::Running && promote.is_none() {
        return mistake(
            "a standby that runs needs `promote`",
            "name the declared check that makes it serve: `promote = \"CHECK\"`; or leave \
             `standby-is` out, if it is stopped while the service serves",
        );
    }
    if demote.is_some() && promote.is_none() {
        return mistake(
            "`demote` takes back what `promote` does, and there is no `promote`",
            "name the check that makes a standby serve, or leave `demote` out",
        );
    }
    if fail_back_after.is_some() && able.is_none() {
        return mistake(
            "`fail-back-after` needs `able`",
            "name the declared check that proves a unit able to serve: the service takes its \
             place again only when that passes for it",
        );
    }
    if fail_back_after.is_some() && standby_is == StandbyIs::Running && demote.is_none() {
        return mistake(
            "`fail-back-after` needs `demote` where the standby is promoted",
            "name the declared check that takes back what `promote` does, once the standby is \
             down: it brings what was written since back to the service, say",
        );
    }
    Some(Remedy::Failover(Failover {
        standbys,
        standby_is,
        able,
        fenced,
        promote,
        demote,
        probes,
        fail_back_after,
    }))
}

/// The standbys, in their order; none when one of them is a mistake.
fn standbys(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<Vec<UnitName>> {
    let mut standbys: Vec<UnitName> = Vec::new();
    let mut is_right = true;
    for text in reader.texts(section, "standbys", "\"web-b.service\"") {
        let span = text.1.clone();
        let Some(unit) = reader.unit(text) else {
            is_right = false;
            continue;
        };
        if unit.kind() != "service" {
            is_right = false;
            reader.error_help(
                span,
                format!("{unit} is a {}, and no service", unit.kind()),
                "name the service that takes over",
            );
        } else if standbys.contains(&unit) {
            is_right = false;
            reader.error_help(span, format!("{unit} is named twice"), "name it once");
        } else {
            standbys.push(unit);
        }
    }
    if is_right && standbys.is_empty() {
        reader.error_help(
            at.clone(),
            "[[failover]] has no standby",
            "name the units that may take over, the first one first: `standbys = \
             [\"web-b.service\"]`",
        );
        return None;
    }
    is_right.then_some(standbys)
}

/// What only shows beside the rest of the service's file: the service is no standby of its own,
/// and what it names is declared and fits.
pub(super) fn check_against(
    reader: &mut Reader<'_>,
    at: &Range<usize>,
    service: &Service,
    declared: &Failover,
) {
    if declared.standbys.contains(&service.unit) {
        reader.error_help(
            at.clone(),
            format!("{} cannot take its own place", service.unit),
            "name the other units of the group in `standbys`",
        );
    }
    if let Some(able) = &declared.able
        && service.check(able).is_ok_and(|check| check.mutates)
    {
        reader.error_help(
            at.clone(),
            format!("the check `{able}` changes things, and it is run before anything is done"),
            "name a check that changes nothing as `able`",
        );
    }
    let acts = [("promote", &declared.promote), ("demote", &declared.demote)];
    for (key, check) in acts {
        if let Some(check) = check
            && service.check(check).is_ok_and(|check| !check.mutates)
        {
            reader.error_help(
                at.clone(),
                format!("the check `{check}` may change nothing, and `{key}` has to"),
                format!("write `mutates = true` in the check `{check}`"),
            );
        }
    }
    for probe in &declared.probes {
        if !service.probes.contains_key(probe) {
            reader.error_help(
                at.clone(),
                format!("there is no probe `{probe}`"),
                format!("declare it: [[probe]] name = \"{probe}\""),
            );
        }
    }
}

/// Checks that ask whether a unit could serve, or is down, say nothing of the service's
/// configuration: they hold no healing.
pub(super) fn takes_checks(service: &mut Service, declared: &Failover) {
    for check in declared.able.iter().chain(&declared.fenced) {
        if let Some(check) = service.checks.get_mut(check) {
            check.validates = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tests::{load, service, shown};

    #[test]
    fn a_group_is_read_with_all_that_is_declared_of_it() {
        let text = "unit = \"web.service\"\n\
                    [[probe]]\nname = \"front\"\ntcp = \"127.0.0.1:80\"\n\
                    [[check]]\nname = \"able\"\ncommand = [\"/bin/true\", \"{unit}\"]\n\
                    [[check]]\nname = \"up\"\ncommand = [\"/bin/true\"]\nmutates = true\n\
                    [[failover]]\nname = \"web\"\nstandbys = [\"b\", \"c.service\"]\n\
                    standby-is = \"running\"\nable = \"able\"\nfenced = \"able\"\n\
                    promote = \"up\"\ndemote = \"up\"\nprobes = [\"front\"]\n\
                    fail-back-after = \"4h\"\n";
        let loaded = load(&[("services.d/web.toml", text)]);
        assert_eq!(shown(&loaded), "");
        let config = loaded.config.unwrap();
        let web = &config.services["web.service"];
        let unit = |name: &str| UnitName::new(name).unwrap();
        assert_eq!(
            web.remedies["web"],
            Remedy::Failover(Failover {
                standbys: vec![unit("b.service"), unit("c.service")],
                standby_is: StandbyIs::Running,
                able: Some("able".to_owned()),
                fenced: Some("able".to_owned()),
                promote: Some("up".to_owned()),
                demote: Some("up".to_owned()),
                probes: vec!["front".to_owned()],
                fail_back_after: Some(std::time::Duration::from_secs(4 * 3_600)),
            })
        );
        assert!(!web.checks["able"].validates, "it would hold a healing");
    }

    const CHECKS: &str = "[[check]]\nname = \"look\"\ncommand = [\"/bin/true\"]\n\
                          [[check]]\nname = \"do\"\ncommand = [\"/bin/true\"]\nmutates = true\n";

    #[rstest]
    #[case::nobody("", "[[failover]] has no standby")]
    #[case::itself("standbys = [\"web\"]", "web.service cannot take its own place")]
    #[case::twice("standbys = [\"b\", \"b.service\"]", "b.service is named twice")]
    #[case::no_service("standbys = [\"b.socket\"]", "b.socket is a socket, and no service")]
    #[case::protected("standbys = [\"ssh.service\"]", "which is protected")]
    #[case::no_promote(
        "standbys = [\"b\"]\nstandby-is = \"running\"",
        "a standby that runs needs `promote`"
    )]
    #[case::no_such_kind("standbys = [\"b\"]\nstandby-is = \"hot\"", "services.d/web.toml")]
    #[case::demote_alone("standbys = [\"b\"]\ndemote = \"do\"", "and there is no `promote`")]
    #[case::changes_before(
        "standbys = [\"b\"]\nable = \"do\"",
        "the check `do` changes things, and it is run before anything is done"
    )]
    #[case::changes_nothing(
        "standbys = [\"b\"]\npromote = \"look\"",
        "the check `look` may change nothing, and `promote` has to"
    )]
    #[case::no_check("standbys = [\"b\"]\nable = \"nope\"", "nope")]
    #[case::no_probe("standbys = [\"b\"]\nprobes = [\"nope\"]", "there is no probe `nope`")]
    #[case::blindly_back(
        "standbys = [\"b\"]\nfail-back-after = \"1h\"",
        "`fail-back-after` needs `able`"
    )]
    #[case::back_without_its_data(
        "standbys = [\"b\"]\nstandby-is = \"running\"\nable = \"look\"\npromote = \"do\"\n\
         fail-back-after = \"1h\"",
        "`fail-back-after` needs `demote`"
    )]
    fn mistakes(#[case] text: &str, #[case] expected: &str) {
        let declared = format!("[[failover]]\nname = \"web\"\n{text}\n");
        let found = service(&format!("unit = \"web.service\"\n{CHECKS}{declared}"));
        assert!(found.contains(expected), "{found}");
        assert!(found.contains("services.d/web.toml:"), "{found}");
    }
}
