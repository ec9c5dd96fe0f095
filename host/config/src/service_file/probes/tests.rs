use std::time::Duration;

use prunella_core::service::{
    DeclaredProbe, DnsQuestion, DnsRecord, HttpQuestion, ProbeKind, TlsQuestion,
};
use rstest::rstest;

use crate::tests::{load, service, shown};

/// The one probe of a service of which the file says this.
fn probe(text: &str) -> DeclaredProbe {
    let text = format!("unit = \"web.service\"\n{text}");
    let loaded = load(&[("services.d/web.toml", text.as_str())]);
    assert_eq!(shown(&loaded), "");
    loaded.config.unwrap().services["web.service"].probes["a"].clone()
}

fn dns(name: &str) -> DnsQuestion {
    DnsQuestion {
        name: name.to_owned(),
        ..DnsQuestion::default()
    }
}

#[test]
fn kinds() {
    let asks = |text: &str| probe(&format!("[[probe]]\nname = \"a\"\n{text}")).kind;
    assert_eq!(
        asks(
            "http = \"https://127.0.0.1/\"\nserver-name = \"shop.example\"\nbody = \"ready\"\n\
             header = { Content-Type = \"text/*\" }"
        ),
        ProbeKind::Http(HttpQuestion {
            url: "https://127.0.0.1/".to_owned(),
            status: Vec::new(),
            body: Some("ready".to_owned()),
            headers: [("content-type".to_owned(), "text/*".to_owned())].into(),
            server_name: Some("shop.example".to_owned()),
        })
    );
    assert_eq!(
        asks("tls = \"mail.example:465\""),
        ProbeKind::Tls(TlsQuestion {
            place: "mail.example:465".to_owned(),
            server_name: None
        })
    );
    assert_eq!(
        asks("dns = \"shop.example\""),
        ProbeKind::Dns(dns("shop.example"))
    );
    assert_eq!(
        asks("dns = \"shop.example.\"\nserver = \"::1\"\naddress = \"2001:db8::1\""),
        ProbeKind::Dns(DnsQuestion {
            server: Some("[::1]:53".parse().unwrap()),
            record: DnsRecord::Aaaa,
            address: Some("2001:db8::1".parse().unwrap()),
            ..dns("shop.example.")
        })
    );
    assert_eq!(
        asks("dns = \"shop.example\"\nserver = \"127.0.0.1:5353\"\nrecord = \"MX\""),
        ProbeKind::Dns(DnsQuestion {
            server: Some("127.0.0.1:5353".parse().unwrap()),
            record: DnsRecord::Mx,
            ..dns("shop.example")
        })
    );
    assert_eq!(
        asks("command = [\"/usr/lib/shop/check\", \"--short\"]"),
        ProbeKind::Command(vec!["/usr/lib/shop/check".to_owned(), "--short".to_owned()])
    );
}

#[rstest]
#[case::default("", Some(10))]
#[case::critical("critical = true\n", Some(5))]
fn intervals(#[case] top: &str, #[case] seconds: Option<u64>) {
    let interval = |more: &str| {
        let text = format!("{top}[[probe]]\nname = \"a\"\ntcp = \"127.0.0.1:1\"\n{more}");
        probe(&text).interval
    };
    assert_eq!(interval(""), seconds.map(Duration::from_secs));
    assert_eq!(
        interval("interval = \"30s\""),
        Some(Duration::from_secs(30))
    );
    assert_eq!(interval("interval = \"never\""), None);
}

#[test]
fn another_unit_and_a_file_are_asked_only_where_that_is_said() {
    let other = "depends-on = [\"db.service\"]\n[[probe]]\nname = \"a\"\ntcp = \"127.0.0.1:1\"\n\
                 unit = \"db.service\"";
    let text = format!("unit = \"web.service\"\n{other}");
    let files = [
        ("services.d/web.toml", text.as_str()),
        ("services.d/db.toml", "unit = \"db.service\""),
    ];
    let loaded = load(&files);
    assert_eq!(shown(&loaded), "");
    let config = loaded.config.unwrap();
    assert_eq!(config.services["web.service"].probes["a"].interval, None);
    let file = "[[file]]\nname = \"data\"\npath = \"/a\"\nrole = \"database\"\n\
                [[probe]]\nname = \"a\"\nsqlite = \"data\"";
    assert_eq!(probe(file).interval, None);
}

#[rstest]
#[case::of_another_kind("tcp = \"a:1\"\nbody = \"x\"", "`body` is for http probes")]
#[case::of_two_kinds(
    "tcp = \"a:1\"\nserver-name = \"x\"",
    "`server-name` is for http and tls probes"
)]
#[case::name_without_tls(
    "http = \"http://a/\"\nserver-name = \"x\"",
    "`server-name` is for https"
)]
#[case::name_with_port(
    "tls = \"a:1\"\nserver-name = \"x:1\"",
    "`x:1` is not the name of a server"
)]
#[case::empty_body("http = \"http://a/\"\nbody = \"\"", "`body` must not be empty")]
#[case::headers(
    "http = \"http://a/\"\nheader = \"x: y\"",
    "`header` must be a table, and this is text"
)]
#[case::header_name(
    "http = \"http://a/\"\nheader = { \"x y\" = \"z\" }",
    "`x y` is not the name of a header"
)]
#[case::header_twice(
    "http = \"http://a/\"\nheader = { X-Y = \"z\", x-y = \"z\" }",
    "stands here twice"
)]
#[case::tls_place("tls = \"shop.example\"", "`shop.example` is not an address")]
#[case::dns_name(
    "dns = \"http://a/\"",
    "is not a name that a name server can be asked for"
)]
#[case::dns_server(
    "dns = \"a\"\nserver = \"ns.example\"",
    "`ns.example` is not the address of a name server"
)]
#[case::dns_record("dns = \"a\"\nrecord = \"AAA\"", "did you mean `AAAA`?")]
#[case::dns_address("dns = \"a\"\naddress = \"192.0.2\"", "`192.0.2` is not an IP address")]
#[case::dns_address_of_mx(
    "dns = \"a\"\nrecord = \"MX\"\naddress = \"192.0.2.1\"",
    "192.0.2.1 is in no MX record"
)]
#[case::command(
    "command = [\"check\"]",
    "the program of a probe must be an absolute path, and `check` is not"
)]
#[case::no_command("command = []", "[[probe]] has no command")]
#[case::secret(
    "command = [\"/a\", \"--password=hunter2\"]",
    "the command of the probe `a` seems to hold a secret"
)]
#[case::interval("tcp = \"a:1\"\ninterval = \"0s\"", "`interval` must be at least 1s")]
#[case::failures(
    "tcp = \"a:1\"\ninterval = \"never\"\nfailure-threshold = 2",
    "`failure-threshold` has no effect without `interval`"
)]
fn mistakes(#[case] text: &str, #[case] expected: &str) {
    let text = format!("unit = \"web.service\"\n[[probe]]\nname = \"a\"\n{text}");
    let shown = service(&text);
    assert!(shown.contains(expected), "shown was:\n{shown}");
}

#[rstest]
#[case::unit("degraded = \"21\"", "`21`")]
#[case::too_short("degraded = \"5m\"", "`degraded` must be at least 1h")]
#[case::other_way(
    "degraded = \"7d\"\ncritical = \"21d\"",
    "`critical` must not be longer than `degraded`, and 21d is longer than 7d"
)]
fn mistakes_about_certificates(#[case] text: &str, #[case] expected: &str) {
    let text = format!("unit = \"web.service\"\n[health.certificate]\n{text}");
    let shown = service(&text);
    assert!(shown.contains(expected), "shown was:\n{shown}");
}

#[test]
fn when_a_certificate_is_near_its_end() {
    let files = [
        (
            "prunella.toml",
            "health.certificate = { degraded = \"30d\", critical = \"5d\" }",
        ),
        ("services.d/a.toml", "unit = \"a.service\""),
        (
            "services.d/b.toml",
            "unit = \"b.service\"\nhealth.certificate.degraded = \"14d\"",
        ),
    ];
    let loaded = load(&files);
    assert_eq!(shown(&loaded), "");
    let config = loaded.config.unwrap();
    let of = |unit: &str| {
        let health = &config.services[unit].health;
        let days = |limit: Option<Duration>| limit.map(|limit| limit.as_secs() / 86_400);
        (
            days(health.certificate.degraded),
            days(health.certificate.critical),
        )
    };
    assert_eq!(of("a.service"), (Some(30), Some(5)));
    assert_eq!(of("b.service"), (Some(14), None));
}

#[test]
fn an_objective() {
    let text = "unit = \"a.service\"\nobjective = \"99.95%\"\n[[probe]]\nname = \"a\"\n\
                tcp = \"127.0.0.1:1\"";
    let loaded = load(&[("services.d/a.toml", text)]);
    assert_eq!(shown(&loaded), "");
    let objective = loaded.config.unwrap().services["a.service"].objective;
    assert_eq!(objective.unwrap().to_string(), "99.95 %");
}

#[rstest]
#[case::all(
    "objective = \"100%\"",
    "`100%` is not a share of questions to be answered"
)]
#[case::few(
    "objective = \"0.1%\"",
    "`0.1%` is not a share of questions to be answered"
)]
#[case::number("objective = 99.9", "`objective` must be text")]
#[case::nothing_is_asked(
    "objective = \"99.9%\"",
    "warning: `objective` has no effect without a probe"
)]
#[case::never_asked(
    "objective = \"99.9%\"\n[[probe]]\nname = \"a\"\ntcp = \"a:1\"\ninterval = \"never\"",
    "warning: `objective` has no effect without a probe"
)]
fn mistakes_about_an_objective(#[case] text: &str, #[case] expected: &str) {
    let shown = service(&format!("unit = \"web.service\"\n{text}"));
    assert!(shown.contains(expected), "shown was:\n{shown}");
}
