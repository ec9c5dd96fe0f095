use std::{collections::BTreeMap, time::Duration};

use prunella_core::{
    UnitName,
    remedy::{Bounds, Circuit, Instances, MemoryReclaim, Offender, Remedy, UnitProperty, Zombies},
};
use rstest::rstest;

use crate::tests::{load, service, shown};

const MIB: u64 = 1 << 20;

/// The remedies of a service of which the file says this.
fn remedies(text: &str) -> BTreeMap<String, Remedy> {
    let text = format!("unit = \"web.service\"\n{text}");
    let loaded = load(&[("services.d/web.toml", text.as_str())]);
    assert_eq!(shown(&loaded), "");
    loaded.config.unwrap().services["web.service"]
        .remedies
        .clone()
}

#[test]
fn what_limits_make_of_it() {
    let found = remedies(
        "[[unit-limits]]\nname = \"room\"\nunit = \"batch.slice\"\nlease = \"1h\"\n\
         memory-high = { min = \"512MiB\", max = \"2GiB\", step = \"256MiB\" }\n\
         cpu-quota = { min = \"50%\", max = \"200%\" }\n",
    );
    let Remedy::UnitLimits(room) = &found["room"] else {
        panic!("{found:?}");
    };
    assert_eq!(room.unit, Some(UnitName::new("batch.slice").unwrap()));
    assert_eq!(room.lease, Duration::from_secs(3_600));
    assert_eq!(room.calm, Duration::from_secs(600));
    let high = Bounds {
        min: 512 * MIB,
        max: 2_048 * MIB,
        step: 256 * MIB,
    };
    // Without a step, all at once.
    let quota = Bounds {
        min: 500_000,
        max: 2_000_000,
        step: 1_500_000,
    };
    assert_eq!(
        room.bounds,
        BTreeMap::from([
            (UnitProperty::MemoryHigh, high),
            (UnitProperty::CpuQuota, quota)
        ])
    );
}

#[test]
fn what_a_circuit_makes_of_it() {
    let found = remedies(
        "[[circuit]]\nname = \"shop\"\nfailures = 5\nwindow = \"1h\"\nwait = \"10s\"\nwait-most = \"1m\"\n",
    );
    let seconds = Duration::from_secs;
    let circuit = |failures, window, wait, wait_most| {
        Remedy::Circuit(Circuit {
            failures,
            window: seconds(window),
            wait: seconds(wait),
            wait_most: seconds(wait_most),
        })
    };
    assert_eq!(found["shop"], circuit(5, 3_600, 10, 60));
    let found = remedies("[[circuit]]\nname = \"shop\"\n");
    assert_eq!(found["shop"], circuit(3, 600, 30, 300));
    // One wait that is longer than usual is the most as well.
    let found = remedies("[[circuit]]\nname = \"shop\"\nwait = \"10m\"\n");
    assert_eq!(found["shop"], circuit(3, 600, 600, 600));
}

#[test]
fn what_the_others_make_of_it() {
    let found = remedies(
        "[[memory]]\nname = \"cache\"\nat-most = \"256MiB\"\n\
         [[zombies]]\nname = \"children\"\n\
         [[offenders]]\nname = \"batch\"\nunit = \"batch.slice\"\nthrottle = { cpu-weight = 10 }\n\
         [[instances]]\nname = \"app\"\ntemplate = \"app@\"\nmax = 4\ndrain = \"drained\"\n\
         [[check]]\nname = \"drained\"\ncommand = [\"/bin/true\"]\n",
    );
    assert_eq!(
        found["cache"],
        Remedy::MemoryReclaim(MemoryReclaim {
            unit: None,
            at_most: 256 * MIB
        })
    );
    assert_eq!(found["children"], Remedy::Zombies(Zombies { at_least: 10 }));
    assert_eq!(
        found["batch"],
        Remedy::Offender(Offender {
            unit: UnitName::new("batch.slice").unwrap(),
            throttle: BTreeMap::from([(UnitProperty::CpuWeight, 10)]),
            freeze: false,
            lease: Duration::from_secs(1_800),
            calm: Duration::from_secs(600),
        })
    );
    assert_eq!(
        found["app"],
        Remedy::Instances(Instances {
            template: UnitName::new("app@.service").unwrap(),
            min: 1,
            max: 4,
            cooldown: Duration::from_secs(300),
            lease: Duration::from_secs(3_600),
            calm: Duration::from_secs(900),
            drain: Some("drained".to_owned()),
            drain_traffic: None,
        })
    );
}

#[rstest]
#[case::no_limit("[[unit-limits]]\nname = \"a\"", "[[unit-limits]] names no limit")]
#[case::no_bound(
    "[[unit-limits]]\nname = \"a\"\ntasks-max = { min = 1 }",
    "`tasks-max` has no `max`"
)]
#[case::turned_around(
    "[[unit-limits]]\nname = \"a\"\nmemory-high = { min = \"2GiB\", max = \"1GiB\" }",
    "`min` of `memory-high` is 2 GiB, and must be less than its `max`, 1 GiB"
)]
#[case::no_quota(
    "[[unit-limits]]\nname = \"a\"\ncpu-quota = { min = \"0%\", max = \"1%\" }",
    "`0%` is not a share of a processor"
)]
#[case::weight(
    "[[unit-limits]]\nname = \"a\"\ncpu-weight = { min = 1, max = 20000 }",
    "`max` must lie between 1 and 10000"
)]
#[case::not_one_that_is_limited(
    "[[unit-limits]]\nname = \"a\"\nunit = \"a.timer\"\ntasks-max = { min = 1, max = 2 }",
    "a.timer has no limits that could be moved"
)]
#[case::all_of_the_host(
    "[[memory]]\nname = \"a\"\nunit = \"system.slice\"\nat-most = \"1MiB\"",
    "system.slice holds what the host itself needs"
)]
#[case::how_much(
    "[[memory]]\nname = \"a\"",
    "[[memory]] does not say how much may be reclaimed at a time"
)]
#[case::nobody(
    "[[offenders]]\nname = \"a\"\nfreeze = true",
    "[[offenders]] has no unit"
)]
#[case::nothing(
    "[[offenders]]\nname = \"a\"\nunit = \"batch.slice\"",
    "[[offenders]] says nothing that may be done to batch.slice"
)]
#[case::memory_is_no_throttle(
    "[[offenders]]\nname = \"a\"\nunit = \"batch.slice\"\nthrottle = { memory-max = \"1MiB\" }",
    "unknown key `memory-max`"
)]
#[case::people(
    "[[offenders]]\nname = \"a\"\nunit = \"user.slice\"\nfreeze = true",
    "user.slice cannot be frozen: people work in it"
)]
#[case::itself(
    "[[offenders]]\nname = \"a\"\nunit = \"web.service\"\nfreeze = true",
    "web.service cannot make way for itself"
)]
#[case::protected(
    "[[offenders]]\nname = \"a\"\nunit = \"ssh.service\"\nthrottle = { cpu-weight = 1 }",
    "`a` acts on ssh.service, which is protected: nothing acts on it"
)]
#[case::no_template(
    "[[instances]]\nname = \"a\"\ntemplate = \"app.service\"\nmax = 2",
    "app.service is not the template of a service"
)]
#[case::no_most(
    "[[instances]]\nname = \"a\"\ntemplate = \"app@.service\"",
    "[[instances]] has no `max`"
)]
#[case::more_than_the_most(
    "[[instances]]\nname = \"a\"\ntemplate = \"app@.service\"\nmin = 3\nmax = 2",
    "`min` is 3, and must not be more than `max`, 2"
)]
#[case::one_failure(
    "[[circuit]]\nname = \"a\"\nfailures = 1",
    "`failures` must lie between 2 and 100"
)]
#[case::most_is_less(
    "[[circuit]]\nname = \"a\"\nwait = \"1m\"\nwait-most = \"30s\"",
    "`wait-most` is 30s, and must not be less than `wait`, 1m"
)]
#[case::two_circuits(
    "[[circuit]]\nname = \"a\"\n[[circuit]]\nname = \"b\"",
    "web.service has a second circuit, beside `a`"
)]
#[case::no_such_check(
    "[[instances]]\nname = \"a\"\ntemplate = \"app@.service\"\nmax = 2\ndrain = \"b\"",
    "services.d/web.toml:2:1"
)]
fn mistakes(#[case] text: &str, #[case] expected: &str) {
    let found = service(&format!("unit = \"web.service\"\n{text}"));
    assert!(found.contains(expected), "{found}");
}
