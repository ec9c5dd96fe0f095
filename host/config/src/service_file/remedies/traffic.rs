//! Reads `[[traffic]]`.

use std::{ops::Range, time::Duration};

use prunella_core::{
    remedy::{HaproxyServer, Remedy, TrackFile, Traffic, TrafficChecks, TrafficWay},
    service::Service,
    text::one_line,
};

use super::super::LEAST;
use crate::reader::{Reader, Section};

/// The service is back in rotation after half an hour.
const LEASE: Duration = Duration::from_secs(30 * 60);
/// It is back before that, as soon as it is proven well.
const CALM: Duration = Duration::ZERO;
/// An undo waits for connections too, and has a minute for all it does.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What every way has.
const COMMON: [&str; 3] = ["name", "lease", "calm"];

/// The ways: the key that says which one it is, and the keys that go with it.
const WAYS: [(&str, &[&str]); 3] = [
    ("haproxy", &["haproxy", "backend", "server", "wait"]),
    ("track-file", &["track-file", "out"]),
    ("drain", &["drain", "undrain", "maintain", "drained"]),
];

const EXAMPLE: &str = "write `haproxy = \"/run/haproxy/admin.sock\"`, `track-file = \
                       \"/run/keepalived/web\"`, or `drain = \"CHECK\"`";

pub(super) fn read(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<Remedy> {
    let named: Vec<_> = WAYS
        .iter()
        .filter(|(key, _)| section.table.contains_key(*key))
        .collect();
    let [(way, keys)] = named[..] else {
        let message = if named.is_empty() {
            "[[traffic]] does not say how the service is taken out of rotation".to_owned()
        } else {
            let keys: Vec<String> = named.iter().map(|(key, _)| format!("`{key}`")).collect();
            format!("{} do not go together", keys.join(" and "))
        };
        reader.error_help(at.clone(), message, EXAMPLE);
        return None;
    };
    reader.only(section, &[&COMMON, *keys].concat());
    let lease = reader.duration(section, "lease", LEAST).unwrap_or(LEASE);
    let calm = reader
        .duration(section, "calm", Duration::ZERO)
        .unwrap_or(CALM);
    let mut wait = Duration::ZERO;
    let way = match *way {
        "haproxy" => {
            wait = wait_of(reader, section);
            TrafficWay::Haproxy(haproxy(reader, section, at)?)
        }
        "track-file" => TrafficWay::TrackFile(track_file(reader, section, at)?),
        _ => TrafficWay::Checks(checks(reader, section, at)?),
    };
    Some(Remedy::Traffic(Traffic {
        way,
        wait,
        lease,
        calm,
    }))
}

fn wait_of(reader: &mut Reader<'_>, section: Section<'_>) -> Duration {
    let wait = reader.duration(section, "wait", Duration::ZERO);
    if let (Some(wait), Some(value)) = (wait, section.table.get("wait"))
        && wait > LONGEST_WAIT
    {
        reader.error(
            value.span(),
            format!("`wait` must be at most {} s", LONGEST_WAIT.as_secs()),
        );
    }
    wait.unwrap_or_default()
}

fn haproxy(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<HaproxyServer> {
    let socket = reader.text(section, "haproxy", "/run/haproxy/admin.sock");
    let socket = socket.and_then(|text| reader.path("haproxy", text));
    let mut named = |key: &str, example: &str, may_have: &str| {
        if !section.table.contains_key(key) {
            reader.error_help(
                at.clone(),
                format!("[[traffic]] has `haproxy`, and no `{key}`"),
                format!("add a line such as `{key} = \"{example}\"`"),
            );
            return None;
        }
        let (name, span) = reader.text(section, key, example)?;
        if is_name(&name.replace(may_have, "")) {
            return Some(name.to_owned());
        }
        let shown = one_line(name, 60);
        reader.error_help(
            span,
            format!("`{shown}` is no name that HAProxy knows"),
            "write it as in haproxy.cfg: letters, digits, `.`, `:`, `_` and `-`",
        );
        None
    };
    let backend = named("backend", "shop", "\0");
    let server = named("server", "one", HaproxyServer::INSTANCE);
    Some(HaproxyServer {
        socket: socket?,
        backend: backend?,
        server: server?,
    })
}

/// Whether HAProxy takes it as a name. So it can be nothing else in a command either.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".:_-".contains(&byte);
    !name.is_empty() && name.len() <= 200 && name.bytes().all(allowed)
}

fn track_file(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<TrackFile> {
    let path = reader.text(section, "track-file", "/run/keepalived/web");
    let path = path.and_then(|text| reader.path("track-file", text));
    if !section.table.contains_key("out") {
        reader.error_help(
            at.clone(),
            "[[traffic]] has `track-file`, and no `out`",
            "say which number takes the service out of rotation: `out = 1` where keepalived \
             gives the file no weight, else such as `out = -254`",
        );
        return None;
    }
    let out = reader.integer(section, "out", i32::MIN.into()..=i32::MAX.into());
    Some(TrackFile {
        path: path?,
        out: i32::try_from(out?).ok()?,
    })
}

fn checks(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    at: &Range<usize>,
) -> Option<TrafficChecks> {
    let mut check = |key: &str| {
        let text = reader.text(section, key, "front-off");
        text.map(|(name, _)| name.to_owned())
    };
    let (drain, undrain) = (check("drain"), check("undrain"));
    let (maintain, drained) = (check("maintain"), check("drained"));
    if !section.table.contains_key("undrain") {
        reader.error_help(
            at.clone(),
            "`drain` has no `undrain`",
            "name the check that puts the service back: it is out of rotation for a while",
        );
    }
    Some(TrafficChecks {
        drain: drain?,
        undrain: undrain?,
        maintain,
        drained,
    })
}

/// What `drain-traffic` of instances names is a server for each of them, and nobody else has one
/// of that kind.
pub(super) fn check_servers(
    reader: &mut Reader<'_>,
    at: &Range<usize>,
    service: &Service,
    name: &str,
) {
    let of_instances = |name: &str| match service.remedies.get(name) {
        Some(Remedy::Traffic(Traffic {
            way: TrafficWay::Haproxy(server),
            ..
        })) => server.is_of_instances(),
        _ => false,
    };
    let drained = |remedy: &Remedy| match remedy {
        Remedy::Instances(instances) => instances.drain_traffic.clone(),
        _ => None,
    };
    match service.remedies.get(name) {
        Some(remedy @ Remedy::Instances(_)) => {
            let Some(traffic) = drained(remedy).filter(|traffic| !of_instances(traffic)) else {
                return;
            };
            reader.error_help(
                at.clone(),
                format!("`{traffic}` is no [[traffic]] with a server for each instance"),
                "declare one with `haproxy`, and `%i` for the instance in its `server`: `server = \
                 \"app-%i\"`",
            );
        }
        Some(_) if of_instances(name) && service.unit.instance().is_none() => {
            let mut named = service.remedies.values().filter_map(drained);
            if !named.any(|traffic| traffic == name) {
                reader.error_help(
                    at.clone(),
                    format!(
                        "`%i` is the instance of a template, and {} is none",
                        service.unit
                    ),
                    "write the name of the server, or name this in `drain-traffic` of \
                     [[instances]]",
                );
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tests::{load, service, shown};

    const CHECKS: &str = "[[check]]\nname = \"off\"\ncommand = [\"/bin/off\"]\nmutates = true\n\
        [[check]]\nname = \"on\"\ncommand = [\"/bin/on\"]\nmutates = true\n\
        [[check]]\nname = \"is-off\"\ncommand = [\"/bin/is-off\"]\n";

    fn traffic(text: &str) -> Traffic {
        let text = format!("unit = \"web\"\n[[traffic]]\nname = \"front\"\n{text}\n{CHECKS}");
        let loaded = load(&[("services.d/web.toml", text.as_str())]);
        assert_eq!(shown(&loaded), "");
        let config = loaded.config.unwrap();
        match &config.services["web.service"].remedies["front"] {
            Remedy::Traffic(traffic) => traffic.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_way_is_read() {
        let server = traffic(
            "haproxy = \"/run/haproxy/admin.sock\"\nbackend = \"shop\"\nserver = \"one\"\n\
             wait = \"10s\"",
        );
        assert_eq!(
            server,
            Traffic {
                way: TrafficWay::Haproxy(HaproxyServer {
                    socket: "/run/haproxy/admin.sock".into(),
                    backend: "shop".to_owned(),
                    server: "one".to_owned(),
                }),
                wait: Duration::from_secs(10),
                lease: Duration::from_secs(1_800),
                calm: Duration::ZERO,
            }
        );
        let file = traffic("track-file = \"/run/keepalived/web\"\nout = -254\ncalm = \"10s\"");
        assert_eq!(file.calm, Duration::from_secs(10));
        assert_eq!(
            file.way,
            TrafficWay::TrackFile(TrackFile {
                path: "/run/keepalived/web".into(),
                out: -254,
            })
        );
        let checks = traffic("drain = \"off\"\nundrain = \"on\"\ndrained = \"is-off\"");
        assert_eq!(
            checks.way,
            TrafficWay::Checks(TrafficChecks {
                drain: "off".to_owned(),
                undrain: "on".to_owned(),
                maintain: None,
                drained: Some("is-off".to_owned()),
            })
        );
    }

    const HAPROXY: &str = "haproxy = \"/run/haproxy/admin.sock\"\n";

    #[rstest]
    #[case::no_way("", "[[traffic]] does not say how")]
    #[case::two_ways(
        "haproxy = \"/s\"\ndrain = \"off\"",
        "`haproxy` and `drain` do not go together"
    )]
    #[case::other_way(
        "track-file = \"/x\"\nout = 1\nbackend = \"a\"",
        "unknown key `backend`"
    )]
    #[case::no_wait_for_a_file("track-file = \"/x\"\nout = 1\nwait = \"1s\"", "unknown key `wait`")]
    #[case::no_number("track-file = \"/x\"", "[[traffic]] has `track-file`, and no `out`")]
    #[case::word("track-file = \"/x\"\nout = \"1\"", "`out` must be a whole number")]
    #[case::too_large("track-file = \"/x\"\nout = 2147483648", "`out` must lie between")]
    #[case::relative("track-file = \"x\"\nout = 1", "`track-file` must be an absolute path")]
    #[case::no_way_back("drain = \"off\"", "`drain` has no `undrain`")]
    #[case::not_declared("drain = \"off\"\nundrain = \"gone\"", "gone")]
    #[case::looking_changes(
        "drain = \"off\"\nundrain = \"on\"\ndrained = \"off\"",
        "the check `off` changes things, and it is run before anything is done"
    )]
    fn mistakes(#[case] text: &str, #[case] says: &str) {
        let shown = service(&format!(
            "unit = \"web\"\n[[traffic]]\nname = \"a\"\n{text}\n{CHECKS}"
        ));
        assert!(shown.contains(says), "{shown}");
    }

    const OF_INSTANCES: &str = "[[traffic]]\nname = \"front\"\nhaproxy = \"/s\"\nbackend = \"app\"\n\
        server = \"app-%i\"\n";
    const INSTANCES: &str = "[[instances]]\nname = \"app\"\ntemplate = \"app@.service\"\nmax = 2\n\
        drain-traffic = \"front\"\n";

    #[rstest]
    #[case::of_the_service("app@1", OF_INSTANCES, "", "")]
    #[case::of_its_instances("web", OF_INSTANCES, INSTANCES, "")]
    #[case::of_nobody("web", OF_INSTANCES, "", "`%i` is the instance of a template")]
    #[case::not_declared(
        "web",
        "",
        INSTANCES,
        "`front` is no [[traffic]] with a server for each"
    )]
    #[case::of_one(
        "web",
        "[[traffic]]\nname = \"front\"\nhaproxy = \"/s\"\nbackend = \"app\"\nserver = \"a\"\n",
        INSTANCES,
        "`front` is no [[traffic]] with a server for each"
    )]
    fn servers_of_instances(
        #[case] unit: &str,
        #[case] traffic: &str,
        #[case] instances: &str,
        #[case] says: &str,
    ) {
        let shown = service(&format!("unit = \"{unit}\"\n{traffic}{instances}"));
        assert!(shown.contains(says), "{shown}");
        assert_eq!(shown.is_empty(), says.is_empty(), "{shown}");
    }

    #[rstest]
    #[case::no_backend("server = \"a\"", "[[traffic]] has `haproxy`, and no `backend`")]
    #[case::no_server("backend = \"a\"", "[[traffic]] has `haproxy`, and no `server`")]
    #[case::two_commands(
        "backend = \"a\"\nserver = \"a; disable frontend b\"",
        "`a; disable frontend b` is no name that HAProxy knows"
    )]
    #[case::two_lines(
        "backend = \"a\\nshow env\"\nserver = \"a\"",
        "is no name that HAProxy knows"
    )]
    #[case::not_of_backends("backend = \"a%i\"\nserver = \"a\"", "`a%i` is no name")]
    #[case::too_long(
        "backend = \"a\"\nserver = \"b\"\nwait = \"31s\"",
        "`wait` must be at most 30 s"
    )]
    fn mistakes_with_haproxy(#[case] text: &str, #[case] says: &str) {
        let shown = service(&format!(
            "unit = \"web\"\n[[traffic]]\nname = \"a\"\n{HAPROXY}{text}\n"
        ));
        assert!(shown.contains(says), "{shown}");
    }
}
