use std::{collections::BTreeSet, time::Instant};

use super::*;

/// Everything about an act is written out where it is described; what can only be
/// wrong as a whole is wrong here.
#[test]
fn every_act_is_described() {
    let mut names = BTreeSet::new();
    for act in Act::ALL {
        let consequence = act.consequence();
        let name = consequence.name;
        assert!(names.insert(name), "{name} stands there twice");
        assert_eq!(Act::named(name), Some(act));
        assert!(
            INTERFACES.iter().any(|interface| {
                interface.package == Package::Act && interface.name == act.interface()
            }),
            "{name}: no such interface"
        );
        assert!(consequence.means.starts_with("may "), "{name}");
        if consequence.budget == Budget::Healing {
            assert_ne!(consequence.stops_along, StopsAlong::Nothing, "{name}");
        }
        if consequence.durability != Durability::OnDiskFirst {
            assert!(
                consequence.asks_systemd,
                "{name}: only what systemd does goes with the power"
            );
        }
    }
}

#[test]
fn a_reply_to_another_call_is_no_answer() {
    let host = Host::new(Confused);
    let failure = host.ask(Instant::now(), clock::Now {}).unwrap_err();
    assert!(failure.is("wrong-reply"), "{failure}");
}

struct Confused;

impl HostCalls for Confused {
    fn call(&self, _: Instant, _: Call) -> Answer<Reply> {
        Ok(Reply::ClockMonotonic(1))
    }
}
