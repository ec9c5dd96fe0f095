//! What a host runs out of: room and inodes of a file system, and the right time.

use prunella_e2e::TIMEOUT;
use serde_json::Value;

use super::{greedy, have_rest, have_use, wait_ready, wait_symptom, with_greedy};
use crate::receiver::{self, got, headline, is_resolved, kind, receiver, wait_got};

/// Answers as a time server does (RFC 5905), with the machine's own time.
const TIME_SERVER: &str = r#"
import socket, struct, time

EPOCH = 2208988800

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 123))
while True:
    request, client = server.recvfrom(512)
    now = time.time() + EPOCH
    stamp = struct.pack("!II", int(now), int(now % 1 * (1 << 32)))
    # Version 4, of a server; stratum 1; delay and dispersion are small.
    head = struct.pack("!BBbbII4s", 0x24, 1, 6, -20, 1, 1, b"TEST")
    server.sendto(head + stamp + request[40:48] + stamp + stamp, client)
"#;

const LIMITS: &str = "\n[metrics]\ninterval = \"1s\"\n\n[health.host]\n\
    disk = { degraded = \"90%\", clear = \"80%\", for = \"1s\" }\n\
    inodes = { degraded = \"90%\", clear = \"80%\", for = \"1s\" }\n\
    zombies = { degraded = 10, clear = 5, for = \"1s\" }\n\
    clock = { for = \"1s\" }\n";

#[test]
fn a_full_disk_no_more_inodes_zombies_and_a_clock_that_nobody_keeps_are_told() {
    let main = format!("{}{LIMITS}", receiver::CONFIG);
    let scene = with_greedy(receiver::scene())
        .file("/etc/prunella/prunella.toml", &main, 0o644)
        .file("/opt/test/time.py", TIME_SERVER, 0o644)
        .file(
            "/etc/systemd/timesyncd.conf",
            "[Time]\nNTP=127.0.0.1\nFallbackNTP=\nConnectionRetrySec=1\n",
            0o644,
        )
        .unit(
            "time.service",
            "[Service]\nExecStart=/usr/bin/python3 /opt/test/time.py\n",
        )
        .service("web.service", &greedy("web", ""), "")
        .with_daemon();
    receiver(&scene, "200");
    scene.start(&["web.service"]);
    wait_ready(&scene, "web");
    let small = "truncate -s 16M /var/small && mkfs.ext4 -q -m 0 -N 64 /var/small && \
                 mount -o loop /var/small /srv";
    scene.run_ok(&["sh", "-c", small]).unwrap();
    scene.wait_state("--host", "healthy");

    let fill = scene
        .run(&["sh", "-c", "cat /dev/zero > /srv/full"])
        .unwrap();
    assert!(fill.stderr.contains("No space left"), "{fill:?}");
    let why = wait_symptom(&scene, "--host", "disk-permille");
    assert!(
        why.starts_with("/srv is ") && why.contains(" % full"),
        "{why}"
    );
    let told = wait_got(&scene, 1).remove(0);
    assert_eq!(kind(&told), "prunella.degradation");
    assert!(headline(&told).contains("/srv"), "{told:#}");
    scene.remove_file("/srv/full").unwrap();
    let well = scene.wait_state("--host", "healthy");
    assert_eq!(well["service"]["symptoms"], Value::Array(Vec::new()));
    let told = wait_got(&scene, 2);
    assert_eq!(told.len(), 2, "told once, and once that it is over");
    assert!(is_resolved(&told[1]), "{told:#?}");

    let use_up = "for n in $(seq 100); do touch /srv/$n || exit 0; done";
    scene.run_ok(&["sh", "-c", use_up]).unwrap();
    let why = wait_symptom(&scene, "--host", "inodes-permille");
    // How many were in use when it was looked at; the rest may have followed.
    assert!(
        why.contains(" % of the inodes of /srv are in use, with a limit of "),
        "{why}"
    );
    scene.run_ok(&["umount", "/srv"]).unwrap();
    scene.wait_state("--host", "healthy");

    have_use(&scene, "web", "zombies 12");
    let why = wait_symptom(&scene, "--host", "zombies");
    assert!(why.ends_with(" zombies, with a limit of 10"), "{why}");
    have_rest(&scene, "web");
    scene.wait_state("--host", "healthy");

    // Whoever is to keep the clock has nobody to ask, and then has.
    scene.start(&["systemd-timesyncd.service"]);
    let why = wait_symptom(&scene, "--host", "clock-unsynchronized");
    assert!(why.starts_with("nothing keeps the clock right"), "{why}");
    scene.start(&["time.service"]);
    scene.wait_state("--host", "healthy");
    assert!(scene.exists("/run/systemd/timesync/synchronized").unwrap());

    assert!(scene.incidents_of("web.service").is_empty());
    assert_eq!(scene.runs("web.service"), 1);
    let of_services = got(&scene)
        .iter()
        .filter(|one| !receiver::units(one).is_empty())
        .count();
    assert_eq!(of_services, 0);
    scene.wait_active("web.service", TIMEOUT).unwrap();
}
