//! `traffic`: a service is out of rotation while it is healed, by a real HAProxy, nginx and
//! keepalived; and what is left alone.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use prunella_e2e::{Builder, Incident, Scene, Software, TIMEOUT, one_line};

const WEB: &str = "web.service";
const OTHER: &str = "other.service";
const HAPROXY: &str = "haproxy.service";

const PROXIES: Software = Software {
    name: "proxies",
    packages: &["curl", "haproxy", "keepalived", "nginx", "python3"],
};

/// A web server on a port, which it answers with. While `/run/sick-PORT` is there it answers
/// 503; a start removes that, and leaves `/run/broken-PORT`, which has it answer 503 as well.
/// `/hold` is answered once `/run/release` is there.
const SERVER: &str = r#"
import http.server, os, pathlib, sys, time

port = sys.argv[1]
sick = pathlib.Path("/run/sick-" + port)
sick.unlink(missing_ok=True)
broken = pathlib.Path("/run/broken-" + port)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        while self.path == "/hold" and not os.path.exists("/run/release"):
            time.sleep(0.05)
        self.send_response(503 if sick.exists() or broken.exists() else 200)
        self.end_headers()
        self.wfile.write(port.encode())

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
"#;

/// Says something to HAProxy, and shows what it answers.
const ASK: &str = r#"
import socket, sys

haproxy = socket.socket(socket.AF_UNIX)
haproxy.connect("/run/haproxy/admin.sock")
haproxy.sendall((sys.argv[1] + "\n").encode())
while part := haproxy.recv(65536):
    sys.stdout.write(part.decode())
"#;

/// It tells a server that does not answer at all from one that answers, and no more.
const PROXY: &str = r"
global
  stats socket /run/haproxy/admin.sock mode 660 level admin
  stats timeout 30s
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  default-server check inter 200ms fall 2 rise 1
frontend front
  bind 127.0.0.1:8080
  default_backend shop
backend shop
  balance roundrobin
  server one 127.0.0.1:8081
  server two 127.0.0.1:8082
backend app
  server app-1 127.0.0.1:9001
  server app-2 127.0.0.1:9002
";

/// What the service finds of HAProxy's servers each time it is started.
const AT_START: &str = "/run/at-start";

const PROBE: &str = r#"
[[probe]]
name = "answers"
http = "http://127.0.0.1:8081/"
interval = "1s"
failure-threshold = 2
"#;

const FRONT: &str = r#"
[[traffic]]
name = "front"
haproxy = "/run/haproxy/admin.sock"
backend = "shop"
server = "one"
"#;

fn server(port: u16, before: &str) -> String {
    format!("[Service]\n{before}ExecStart=/usr/bin/python3 /opt/test/server.py {port}\n")
}

fn machine() -> Builder {
    Scene::builder()
        .software(PROXIES)
        .file("/opt/test/server.py", SERVER, 0o755)
        .file("/opt/test/ask.py", ASK, 0o755)
        .file("/etc/haproxy/haproxy.cfg", PROXY, 0o644)
        .unit(OTHER, &server(8082, ""))
}

/// Two servers behind HAProxy, one of them in care.
fn behind_haproxy(care: &str) -> Scene {
    let tells = "ExecStartPre=-/bin/sh -c 'python3 /opt/test/ask.py \"show servers state shop\" \
                 > /run/at-start'\n";
    let scene = machine()
        .service(WEB, &server(8081, tells), &format!("{PROBE}{care}"))
        .with_daemon();
    // What the service asks when it starts answers by then.
    scene.start(&[HAPROXY]);
    scene.start(&[OTHER, WEB]);
    for server in ["one", "two"] {
        wait_status(&scene, "shop", server, "UP");
    }
    scene.wait_probed(WEB);
    scene
}

fn ask(scene: &Scene, command: &str) -> String {
    scene
        .run_ok(&["python3", "/opt/test/ask.py", command])
        .unwrap()
}

/// A column of what HAProxy tells of a server.
fn told(scene: &Scene, backend: &str, server: &str, column: &str) -> Option<String> {
    let table = ask(scene, &format!("show stat {backend} 4 -1"));
    let mut lines = table.lines();
    let head = lines.next()?.strip_prefix("# ")?;
    let at = |name: &str| head.split(',').position(|one| one == name);
    let (name, column) = (at("svname")?, at(column)?);
    lines
        .map(|line| line.split(',').collect::<Vec<_>>())
        .find(|cells| cells.get(name) == Some(&server))
        .and_then(|cells| Some((*cells.get(column)?).to_owned()))
}

fn status(scene: &Scene, server: &str) -> String {
    told(scene, "shop", server, "status").unwrap()
}

fn wait_status(scene: &Scene, backend: &str, server: &str, wanted: &str) {
    scene
        .wait_for(&format!("{server} to be {wanted}"), TIMEOUT, || {
            let status = told(scene, backend, server, "status");
            Ok((status.as_deref() == Some(wanted)).then_some(()))
        })
        .unwrap();
}

/// What an administrator had said of `one` when the service was started last: 0 is nothing, 8
/// that it is drained.
fn said_at_start(scene: &Scene) -> String {
    let states = scene.run_ok(&["cat", AT_START]).unwrap();
    let of_one = states.lines().find(|line| line.contains(" one "));
    let cells: Vec<&str> = of_one.unwrap().split(' ').collect();
    cells[6].to_owned()
}

fn sicken(scene: &Scene) {
    scene.write_file("/run/sick-8081", "", 0o644).unwrap();
}

/// Why each act was undone.
fn undone(scene: &Scene, incident: &Incident) -> Vec<String> {
    let record = scene.record(incident);
    let steps = record.steps("undone");
    steps
        .map(|step| step["why"].as_str().unwrap().to_owned())
        .collect()
}

/// It was healed by a restart alone, for this reason.
fn restarted_because(scene: &Scene, because: &str) {
    let incident = scene.wait_healed(WEB);
    let record = scene.record(&incident);
    assert_eq!(
        record.acts(),
        ["unit-control.restart web.service"],
        "{}",
        record.text()
    );
    assert!(record.text().contains(because), "{}", record.text());
    assert_eq!(undone(scene, &incident), Vec::<String>::new());
}

#[test]
fn a_service_is_out_of_rotation_while_it_is_restarted() {
    let scene = behind_haproxy(&format!("{FRONT}wait = \"10s\"\n"));
    assert_eq!(said_at_start(&scene), "0");
    sicken(&scene);
    let incident = scene.wait_healed(WEB);
    let record = scene.record(&incident);
    assert_eq!(
        record.acts(),
        ["traffic.drain front", "unit-control.restart web.service"],
        "{}",
        record.text()
    );
    assert_eq!(said_at_start(&scene), "8", "it was drained meanwhile");
    assert_eq!(undone(&scene, &incident), ["well"]);
    wait_status(&scene, "shop", "one", "UP");
    let report = one_line(&scene.report(&incident));
    assert!(report.contains("drained `front` (0 sessions)"), "{report}");
    assert!(
        report.contains("put shop/one back into rotation"),
        "{report}"
    );
}

#[test]
fn what_is_drained_is_put_back_by_an_undo() {
    let scene = behind_haproxy(&format!("{FRONT}calm = \"1h\"\n"));
    sicken(&scene);
    let incident = scene.wait_healed(WEB);
    assert_eq!(status(&scene, "one"), "DRAIN");
    let detail = scene.prunella_ok(&["status", WEB]);
    assert!(detail.contains("drain front, until"), "{detail}");
    let would = scene.prunella_ok(&["undo", &incident.id, "--dry-run"]);
    assert!(would.contains("put shop/one back into rotation"), "{would}");
    assert_eq!(status(&scene, "one"), "DRAIN", "nothing was done");
    let done = scene.prunella_ok(&["undo", &incident.id]);
    assert!(done.contains("put shop/one back into rotation"), "{done}");
    assert_eq!(status(&scene, "one"), "UP");
}

#[test]
fn what_is_drained_is_put_back_when_its_time_is_over() {
    let scene = behind_haproxy(&format!("{FRONT}calm = \"1h\"\nlease = \"15s\"\n"));
    sicken(&scene);
    let incident = scene.wait_healed(WEB);
    scene.wait_step(WEB, "undone", TIMEOUT);
    assert_eq!(undone(&scene, &incident), ["lease-over"]);
    assert_eq!(status(&scene, "one"), "UP");
}

/// A circuit that opens at the third failure.
const CIRCUIT: &str = "[proof]\nstable-for = \"300ms\"\ntimeout = \"5s\"\n\
    [budget]\nhealings = 50\nwindow = \"1h\"\nbackoff = [\"0s\"]\n\
    [[circuit]]\nname = \"shop\"\nwait = \"2s\"\nwait-most = \"4s\"\n";

#[test]
fn what_an_open_circuit_isolates_is_out_of_rotation_until_it_is_well() {
    let scene = behind_haproxy(&format!("{CIRCUIT}{FRONT}calm = \"1s\"\nlease = \"1s\"\n"));
    assert_eq!(said_at_start(&scene), "0");
    scene.write_file("/run/broken-8081", "", 0o644).unwrap();
    let opened = |scene: &Scene, times: usize| {
        let what = format!("the circuit to be opened {times} times");
        scene
            .wait_for(&what, TIMEOUT, || {
                let is_so = |one: &Incident| {
                    let acts = scene.record(one).acts();
                    let openings = acts.iter().filter(|act| *act == "circuit.open shop");
                    one.is("escalated") && openings.count() >= times
                };
                Ok(scene.incidents_of(WEB).into_iter().find(is_so))
            })
            .unwrap_or_else(|error| panic!("{error}: {:#?}", scene.incidents_of(WEB)))
    };
    let isolated = opened(&scene, 3);
    // Its lease is long over, and the tries were out of rotation.
    assert_eq!(said_at_start(&scene), "8");
    let record = scene.record(&isolated);
    let acts = record.acts();
    let first = acts.iter().position(|act| act == "circuit.open shop");
    let first = first.unwrap();
    assert_eq!(acts[first - 1], "traffic.drain front", "{}", record.text());
    let since = &acts[first..];
    assert!(
        since.iter().all(|act| act.starts_with("circuit.")),
        "{}",
        record.text()
    );
    // What `drain` did before was of no help.
    let whys = undone(&scene, &isolated);
    assert!(whys.iter().all(|why| why == "no-help"), "{whys:?}");

    scene.remove_file("/run/broken-8081").unwrap();
    scene
        .wait_for("the circuit to be closed", TIMEOUT, || {
            let healed = |one: &Incident| one.id == isolated.id && one.is("healed");
            Ok(scene.incidents_of(WEB).into_iter().find(healed))
        })
        .unwrap();
    assert_eq!(said_at_start(&scene), "8", "it was proven out of rotation");
    wait_status(&scene, "shop", "one", "UP");
}

#[test]
fn open_requests_are_waited_for_and_counted() {
    let scene = behind_haproxy(&format!("{FRONT}wait = \"30s\"\ncalm = \"1h\"\n"));
    hold_both(&scene);
    sicken(&scene);
    wait_status(&scene, "shop", "one", "DRAIN");
    assert_eq!(scene.runs(WEB), 1, "it is not restarted meanwhile");
    scene.write_file("/run/release", "", 0o644).unwrap();
    let incident = scene.wait_healed(WEB);
    let report = one_line(&scene.report(&incident));
    assert!(report.contains("drained `front` (1 session)"), "{report}");
}

#[test]
fn requests_that_do_not_end_are_not_waited_for_longer_than_allowed() {
    let scene = behind_haproxy(&format!("{FRONT}wait = \"1s\"\ncalm = \"1h\"\n"));
    hold_both(&scene);
    sicken(&scene);
    let incident = scene.wait_healed(WEB);
    let report = one_line(&scene.report(&incident));
    assert!(
        report.contains("drained `front`, and 1 session goes on (0 sessions; 1 session planned)"),
        "{report}"
    );
}

/// A request that is open at each server.
fn hold_both(scene: &Scene) {
    for number in ["1", "2"] {
        let unit = format!("--unit=hold-{number}");
        let curl = ["/usr/bin/curl", "-s", "http://127.0.0.1:8080/hold"];
        scene
            .run_ok(&[&["systemd-run", "--quiet", &unit], &curl[..]].concat())
            .unwrap();
    }
    scene
        .wait_for("a request at each server", TIMEOUT, || {
            let open = |server| told(scene, "shop", server, "scur").as_deref() == Some("1");
            Ok((open("one") && open("two")).then_some(()))
        })
        .unwrap();
}

#[test]
fn the_last_server_is_not_drained() {
    let scene = behind_haproxy(FRONT);
    scene.systemctl(&["stop", OTHER]).unwrap();
    wait_status(&scene, "shop", "two", "DOWN");
    sicken(&scene);
    restarted_because(&scene, "`front` is the last server of its backend");
    assert_eq!(said_at_start(&scene), "0");
    wait_status(&scene, "shop", "one", "UP");
}

#[test]
fn what_a_person_drained_stays_drained() {
    let scene = behind_haproxy(FRONT);
    ask(&scene, "set server shop/one state drain");
    sicken(&scene);
    restarted_because(&scene, "`front` is drained already");
    assert_eq!(status(&scene, "one"), "DRAIN");
}

#[test]
fn what_a_person_has_changed_since_stays_so() {
    let scene = behind_haproxy(&format!("{FRONT}calm = \"1h\"\n"));
    sicken(&scene);
    let incident = scene.wait_healed(WEB);
    assert_eq!(status(&scene, "one"), "DRAIN");
    ask(&scene, "set server shop/one state maint");
    let done = scene.prunella_ok(&["undo", &incident.id]);
    assert!(
        done.contains("shop/one is in maintenance now, which somebody else did"),
        "{done}"
    );
    assert_eq!(status(&scene, "one"), "MAINT");
}

#[test]
fn a_server_that_haproxy_has_given_up_needs_nothing() {
    let scene = behind_haproxy(FRONT);
    // It goes on, and nobody gets through to it.
    ask(&scene, "disable health shop/one");
    ask(&scene, "set server shop/one health down");
    wait_status(&scene, "shop", "one", "DOWN");
    sicken(&scene);
    restarted_because(
        &scene,
        "HAProxy sends `front` no requests already: it is DOWN",
    );
}

#[test]
fn without_haproxy_the_service_is_healed_all_the_same() {
    let scene = behind_haproxy(FRONT);
    scene.systemctl(&["stop", HAPROXY]).unwrap();
    sicken(&scene);
    restarted_because(&scene, "HAProxy's socket");
}

#[test]
fn a_daemon_that_is_killed_while_it_waits_puts_the_service_back_first() {
    let scene = behind_haproxy(&format!("{FRONT}wait = \"30s\"\n"));
    hold_both(&scene);
    sicken(&scene);
    wait_status(&scene, "shop", "one", "DRAIN");
    scene
        .systemctl(&["kill", "--signal=KILL", "prunella.service"])
        .unwrap();
    scene
        .wait_for("what was cut off to be undone", TIMEOUT, || {
            let incidents = scene.incidents_of(WEB);
            Ok(incidents
                .iter()
                .any(|incident| undone(&scene, incident).contains(&"cut-off".to_owned()))
                .then_some(()))
        })
        .unwrap();
    scene.write_file("/run/release", "", 0o644).unwrap();
    scene.wait_healed(WEB);
    wait_status(&scene, "shop", "one", "UP");
}

#[test]
fn config_check_finds_a_socket_that_is_not_there() {
    let scene = machine()
        .service(WEB, &server(8081, ""), FRONT)
        .without_daemon();
    let checked = scene.prunella(&["config", "check"]);
    let said = one_line(&format!("{}{}", checked.stdout, checked.stderr));
    assert!(
        said.contains("/run/haproxy/admin.sock (`front`) is not there"),
        "{said}"
    );
    scene.start(&[HAPROXY]);
    let checked = scene.prunella(&["config", "check"]);
    let said = format!("{}{}", checked.stdout, checked.stderr);
    assert!(!said.contains("admin.sock"), "{said}");
}

#[test]
fn enable_proposes_the_server_that_a_service_is() {
    let scene = machine().without_daemon();
    scene.start(&[HAPROXY, OTHER]);
    wait_status(&scene, "shop", "two", "UP");
    let would = scene.prunella_ok(&["enable", "--dry-run", OTHER]);
    for line in [
        "#[[traffic]]",
        "#haproxy = \"/run/haproxy/admin.sock\"",
        "#backend = \"shop\"",
        "#server = \"two\"",
    ] {
        assert!(would.contains(line), "{line}: {would}");
    }
    assert!(!would.contains("\"one\""), "{would}");
}

const NGINX: &str = "user www-data;\npid /run/nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\n\
    access_log off;\nupstream shop { include /etc/nginx/shop.servers; }\n\
    server { listen 127.0.0.1:8080; location / { proxy_pass http://shop; } }\n}\n";

const BOTH: &str = "server 127.0.0.1:8081;\nserver 127.0.0.1:8082;\n";

/// Writes which servers nginx has, and has it read that.
const SWITCH: &str = "#!/bin/sh -e
echo \"server 127.0.0.1:8081$1;
server 127.0.0.1:8082;\" > /etc/nginx/shop.servers.new
mv /etc/nginx/shop.servers.new /etc/nginx/shop.servers
kill -HUP \"$(cat /run/nginx.pid)\"
";

const BY_CHECKS: &str = r#"
[[traffic]]
name = "front"
drain = "front-off"
undrain = "front-on"
drained = "front-is-off"
calm = "1h"

[[check]]
name = "front-off"
command = ["/opt/test/switch", " down"]
mutates = true
as-root = true

[[check]]
name = "front-on"
command = ["/opt/test/switch", ""]
mutates = true
as-root = true

[[check]]
name = "front-is-off"
command = ["/bin/grep", "-q", "8081 down", "/etc/nginx/shop.servers"]
validates = false
"#;

/// The ports that answer ten requests.
fn answering(scene: &Scene) -> String {
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do curl -s http://127.0.0.1:8080/; echo; done \
                  | sort -u | tr '\\n' ' '";
    scene.run_ok(&["sh", "-c", script]).unwrap()
}

#[test]
fn nginx_is_told_by_declared_checks() {
    let scene = machine()
        .file("/etc/nginx/nginx.conf", NGINX, 0o644)
        .file("/etc/nginx/shop.servers", BOTH, 0o644)
        .file("/opt/test/switch", SWITCH, 0o755)
        .unit(
            "proxy.service",
            "[Service]\nExecStart=/usr/sbin/nginx -g 'daemon off;'\n",
        )
        .service(WEB, &server(8081, ""), &format!("{PROBE}{BY_CHECKS}"))
        .with_daemon();
    scene.start(&["proxy.service", OTHER, WEB]);
    scene.wait_probed(WEB);
    wait_answering(&scene, "8081 8082 ");
    sicken(&scene);
    let incident = scene.wait_healed(WEB);
    let record = scene.record(&incident);
    assert_eq!(
        record.acts(),
        ["traffic.drain front", "unit-control.restart web.service"],
        "{}",
        record.text()
    );
    wait_answering(&scene, "8082 ");
    let done = scene.prunella_ok(&["undo", &incident.id]);
    assert!(done.contains("ran check `front-on`"), "{done}");
    wait_answering(&scene, "8081 8082 ");

    // What a person has switched off by the same way is left so.
    scene.run_ok(&["/opt/test/switch", " down"]).unwrap();
    sicken(&scene);
    scene
        .wait_for("the second healing", TIMEOUT, || {
            let incidents = scene.incidents_of(WEB);
            let all = incidents.len() == 2 && incidents.iter().all(|one| one.is("healed"));
            Ok(all.then_some(()))
        })
        .unwrap();
    let record = scene.record(&scene.incidents_of(WEB)[0]);
    assert_eq!(
        record.acts(),
        ["unit-control.restart web.service"],
        "{}",
        record.text()
    );
    wait_answering(&scene, "8082 ");
}

/// nginx goes on with its old workers for a moment.
fn wait_answering(scene: &Scene, ports: &str) {
    scene
        .wait_for(&format!("{ports}to answer"), TIMEOUT, || {
            Ok((answering(scene) == ports).then_some(()))
        })
        .unwrap();
}

/// One of two routers, which is at fault while its file does not say 0.
const KEEPALIVED: &str = r"
global_defs {
  router_id test
}
track_file web {
  file /run/keepalived/web
  weight 0
  init_file 0
}
vrrp_instance shop {
  interface vip0
  state BACKUP
  virtual_router_id 51
  priority 100
  advert_int 1
  virtual_ipaddress {
    192.0.2.10/32
  }
  track_file {
    web
  }
}
";

const BY_FILE: &str = r#"
[[traffic]]
name = "vip"
track-file = "/run/keepalived/web"
out = 1
calm = "1h"
"#;

#[test]
fn keepalived_gives_the_address_away_by_its_track_file() {
    let scene = machine()
        .file("/etc/keepalived/keepalived.conf", KEEPALIVED, 0o644)
        .service(WEB, &server(8081, ""), &format!("{PROBE}{BY_FILE}"))
        .with_daemon();
    for command in [
        "ip link add vip0 type veth peer name vip1",
        "ip address add 192.0.2.1/24 dev vip0",
        "ip link set vip0 up",
        "ip link set vip1 up",
        "mkdir -p /run/keepalived",
    ] {
        scene.run_ok(&["sh", "-c", command]).unwrap();
    }
    scene.start(&["keepalived.service", WEB]);
    scene.wait_probed(WEB);
    let wait_address = |wanted: bool| {
        let what = format!("the address to be there: {wanted}");
        scene
            .wait_for(&what, TIMEOUT, || {
                let addresses = scene.run_ok(&["ip", "-o", "address", "show", "dev", "vip0"])?;
                Ok((addresses.contains("192.0.2.10") == wanted).then_some(()))
            })
            .unwrap();
    };
    wait_address(true);
    let before = scene.run_ok(&["cat", "/run/keepalived/web"]).unwrap();
    sicken(&scene);
    let incident = scene.wait_healed(WEB);
    let record = scene.record(&incident);
    assert_eq!(
        record.acts(),
        ["traffic.drain vip", "unit-control.restart web.service"],
        "{}",
        record.text()
    );
    wait_address(false);
    let report = one_line(&scene.report(&incident));
    assert!(
        report.contains("/run/keepalived/web from 0 to 1"),
        "{report}"
    );
    let done = scene.prunella_ok(&["undo", &incident.id]);
    assert!(done.contains("brought the former number"), "{done}");
    assert_eq!(
        scene.run_ok(&["cat", "/run/keepalived/web"]).unwrap(),
        before
    );
    wait_address(true);
}

/// A slow service gets one more instance, a server of HAProxy's, for a while.
const SCALED: &str = r#"
heal-degraded = ["scale"]
[health]
latency = { degraded = "400ms", clear = "300ms", for = "2s" }
[proof]
stable-for = "1s"
[[probe]]
name = "front"
http = "http://127.0.0.1:8081/"
interval = "1s"
failure-threshold = 5
[[instances]]
name = "app"
template = "app@.service"
max = 2
cooldown = "1ms"
drain-traffic = "balancer"
[[traffic]]
name = "balancer"
haproxy = "/run/haproxy/admin.sock"
backend = "app"
server = "app-%i"
wait = "10s"
"#;

/// It is slow for as long as there is no second instance.
const SLOW_ALONE: &str = r#"
import http.server, os, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if os.path.exists("/run/slow"):
            time.sleep(0.6)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", 8081), Handler).serve_forever()
"#;

fn scaled() -> Scene {
    let app = "[Service]\nExecStartPre=/bin/sh -c 'test %i = 1 || rm -f /run/slow'\n\
               ExecStart=/usr/bin/python3 /opt/test/server.py 900%i\n\
               ExecStop=/bin/sh -c 'python3 /opt/test/ask.py \"show servers state app\" > \
               /run/at-stop'\n";
    let scene = machine()
        .file("/opt/test/slow.py", SLOW_ALONE, 0o755)
        .unit("app@.service", app)
        .service(
            WEB,
            "[Service]\nExecStart=/usr/bin/python3 /opt/test/slow.py\n",
            SCALED,
        )
        .with_daemon();
    scene.start(&[HAPROXY, WEB, "app@1.service"]);
    wait_status(&scene, "app", "app-1", "UP");
    wait_status(&scene, "app", "app-2", "DOWN");
    scene.wait_state(WEB, "healthy");
    scene
}

#[test]
fn an_added_instance_is_drained_by_haproxy_before_it_is_stopped() {
    let scene = scaled();
    scene.write_file("/run/slow", "", 0o644).unwrap();
    let healed = scene.wait_healed(WEB);
    let record = scene.record(&healed);
    assert_eq!(record.acts(), ["instances.up app"], "{}", record.text());
    wait_status(&scene, "app", "app-2", "UP");
    let done = scene.prunella_ok(&["undo", &healed.id]);
    let done = one_line(&done);
    assert!(
        done.contains(
            "drained app/app-2; stopped app@2.service; app/app-2 is no longer drained, and down"
        ),
        "{done}"
    );
    let states = scene.run_ok(&["cat", "/run/at-stop"]).unwrap();
    let second = states.lines().find(|line| line.contains(" app-2 "));
    assert_eq!(
        second.unwrap().split(' ').nth(6),
        Some("8"),
        "it was drained when it was stopped"
    );
    assert_eq!(told(&scene, "app", "app-2", "status").unwrap(), "DOWN");
}

#[test]
fn the_last_instance_that_serves_is_not_stopped() {
    let scene = scaled();
    scene.write_file("/run/slow", "", 0o644).unwrap();
    let healed = scene.wait_healed(WEB);
    wait_status(&scene, "app", "app-2", "UP");
    scene.systemctl(&["stop", "app@1.service"]).unwrap();
    wait_status(&scene, "app", "app-1", "DOWN");
    let refused = scene.prunella(&["undo", &healed.id]);
    let said = one_line(&format!("{}{}", refused.stdout, refused.stderr));
    assert!(
        said.contains("app/app-2 is the last server of its backend that gets requests"),
        "{said}"
    );
    assert_eq!(
        scene.property("app@2.service", "ActiveState").unwrap(),
        "active"
    );
    assert_eq!(told(&scene, "app", "app-2", "status").unwrap(), "UP");
}

#[test]
fn no_instance_is_started_that_would_get_no_requests() {
    let scene = scaled();
    ask(&scene, "set server app/app-2 state maint");
    scene.write_file("/run/slow", "", 0o644).unwrap();
    let incident = scene.wait_step(WEB, "watches", 2 * TIMEOUT);
    let record = scene.record(&incident);
    assert_eq!(record.acts(), Vec::<String>::new(), "{}", record.text());
    assert!(
        record
            .text()
            .contains("app/app-2 is in maintenance, and would get no requests"),
        "{}",
        record.text()
    );
}
