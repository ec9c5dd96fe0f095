//! What it says and does on a simulated host.

#![allow(
    clippy::unwrap_used,
    reason = "in a test a panic is the report, also in what its cases share"
)]

use std::time::Duration;

use prunella_sdk::testing::*;

use super::PortConflict;

/// A web server that failed, and should hold port 80.
fn web() -> Host {
    Host::new("web.service").failed("exit-code").port("tcp/80")
}

fn leftover() -> Process {
    Process::leftover("/usr/bin/web")
}

#[test]
fn a_leftover_ends_and_the_service_starts() {
    let run = web().taken("tcp/80", leftover()).run::<PortConflict>();
    assert_eq!(
        run.applied(),
        "tcp/80 is held by a leftover, /usr/bin/web (pid 4002, user root, of no unit): its \
         invocation id is that of an earlier run"
    );
    assert_eq!(run.confidence(), 90);
    assert_eq!(
        run.healed(),
        "/usr/bin/web (pid 4002, user root, of no unit), which held tcp/80, ended when asked; \
         started web.service: active (running)"
    );
    assert_eq!(run.acts(), ["terminate /usr/bin/web", "start web.service"]);
}

#[test]
fn a_stubborn_one_is_killed_when_its_grace_is_over() {
    let host = web()
        .taken("tcp/80", leftover().ignoring_term())
        .setting("grace", "20s");
    let run = host.run::<PortConflict>();
    assert!(run.healed().contains("had to be killed"), "{run}");
    assert!(run.took().as_secs() >= 20);
    assert_eq!(run.acts(), ["terminate /usr/bin/web", "start web.service"]);
}

#[test]
fn a_stray_of_a_unit_that_is_down_is_a_leftover() {
    let stray = Process::own("/usr/bin/web").of_unit("web.service");
    let run = web().taken("tcp/80", stray).run::<PortConflict>();
    assert_eq!(
        run.applied(),
        "tcp/80 is held by a leftover, /usr/bin/web (pid 4002, user root, unit web.service): it \
         is in the unit's control group"
    );
    run.healed();
}

#[test]
fn a_stranger_is_left_alone_and_nobody_acts() {
    let stranger = Process::stranger("/usr/sbin/apache2")
        .user("www-data")
        .of_unit("apache2.service");
    let host = web().taken("tcp/80", stranger);
    assert_eq!(
        host.run::<PortConflict>().vetoed(),
        "tcp/80 (0.0.0.0) is held by /usr/sbin/apache2 (pid 4002, user www-data, unit \
         apache2.service): nothing connects it with the service; web.service could not bind it; \
         web.service cannot work until it is free"
    );
    // Nor when it comes between assessing and healing.
    let run = host.heal::<PortConflict>();
    assert_eq!(
        run.failed(),
        "tcp/80 (0.0.0.0) is held by /usr/sbin/apache2 (pid 4002, user www-data, unit \
         apache2.service): nothing connects it with the service; web.service could not bind it"
    );
    assert!(run.acts().is_empty());
    assert!(run.denied().is_empty());
}

#[test]
fn a_person_is_asked_about_a_stranger_where_the_operator_wants_that() {
    let stranger = || Process::stranger("/usr/sbin/apache2");
    let host = web()
        .taken("tcp/80", stranger())
        .setting("foreign-processes", "ask");
    let run = host.run::<PortConflict>();
    assert!(run.applied().contains("/usr/sbin/apache2"), "{run}");
    // Nobody agrees here, and nothing is started in vain.
    assert!(run.failed().contains("only a person may end it"), "{run}");
    assert!(run.acts().is_empty());

    // systemd's own socket is nothing that anybody could end.
    let socket = web()
        .taken("tcp/80", stranger())
        .port("tcp/443")
        .socket("tcp/443", "other.socket")
        .setting("foreign-processes", "ask")
        .run::<PortConflict>();
    assert!(socket.vetoed().contains("tcp/80"), "{socket}");
    assert!(socket.acts().is_empty());
}

#[test]
fn a_stranger_beside_a_leftover_holds_everything() {
    let run = web()
        .port("tcp/443")
        .taken("tcp/80", leftover())
        .taken("tcp/443", Process::stranger("/usr/bin/nc"))
        .run::<PortConflict>();
    assert_eq!(
        run.vetoed(),
        "tcp/443 (0.0.0.0) is held by /usr/bin/nc (pid 4003, user root, of no unit): nothing \
         connects it with the service; web.service could not bind it; web.service cannot work \
         until it is free"
    );
    assert!(run.acts().is_empty());
}

#[test]
fn without_a_conflict_there_is_nothing_for_it() {
    let no_ports = Host::new("web.service").failed("signal");
    let its_own = Host::new("web.service").port("tcp/80");
    for (host, says) in [
        (no_ports, "no ports are declared for web.service"),
        (web(), "nobody else holds tcp/80"),
        (web().port("tcp/443"), "nobody else holds tcp/80, tcp/443"),
        (its_own, "nobody else holds tcp/80"),
    ] {
        assert_eq!(host.run::<PortConflict>().was_not_applicable(), says);
    }
    let gone_by_now = web().heal::<PortConflict>();
    assert_eq!(
        gone_by_now.was_not_applicable(),
        "the ports are free by now"
    );
    assert!(gone_by_now.acts().is_empty());
}

#[test]
fn its_own_socket_is_no_conflict_and_anothers_is() {
    let held_by = |socket| {
        Host::new("web.service")
            .failed("exit-code")
            .with(|unit| unit.triggered_by = vec!["web.socket".parse().unwrap()])
            .declare(|service| service.ports.push("tcp/80".parse().unwrap()))
            .socket("tcp/80", socket)
            .run::<PortConflict>()
    };
    assert_eq!(
        held_by("web.socket").was_not_applicable(),
        "nobody else holds tcp/80"
    );
    assert_eq!(
        held_by("other.socket").vetoed(),
        "tcp/80 (0.0.0.0) is held by systemd, for other.socket; web.service could not bind it; \
         web.service cannot work until it is free"
    );
}

#[test]
fn a_shared_port_is_no_conflict() {
    let other = Process::stranger("/usr/bin/web").of_unit("web-b.service");
    let run = web().taken_beside("tcp/80", other).run::<PortConflict>();
    assert_eq!(
        run.was_not_applicable(),
        "nothing shows that web.service is kept from its ports: tcp/80 (0.0.0.0) is held by \
         /usr/bin/web (pid 4002, user root, unit web-b.service): nothing connects it with the \
         service"
    );
}

#[test]
fn closed_connections_are_waited_for_and_one_start_is_enough() {
    let host = web().lingering("tcp/80", Duration::from_secs(42));
    let run = host.run::<PortConflict>();
    assert_eq!(
        run.applied(),
        "tcp/80 is free in 42 s: until then the kernel keeps closed connections of it \
         (TIME_WAIT), and web.service could not bind it"
    );
    assert_eq!(
        run.healed(),
        "waited 42 s until the port was free; started web.service: active (running)"
    );
    assert!(run.took().as_secs() >= 42);
    assert_eq!(run.acts(), ["start web.service"]);
}
