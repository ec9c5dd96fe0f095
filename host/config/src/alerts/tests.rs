//! Routes, and what is said of mistakes in them.

use std::{fs, os::unix::fs::PermissionsExt};

use rstest::rstest;

use super::*;
use crate::{Config, Loaded};

const CHANNELS: &str = "\
    channel.mail = { kind = \"slack\", url-credential = \"mail\" }\n\
    channel.pager = { kind = \"slack\", url-credential = \"pager\" }\n";

/// The file, with the channels `mail` and `pager` before it, and a service.
fn load(text: &str, service: &str) -> Loaded {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    };
    write("prunella.toml", &format!("{CHANNELS}{text}"));
    write(
        "services.d/web.toml",
        &format!("unit = \"web.service\"\n{service}"),
    );
    Config::load(folder.path())
}

fn shown(loaded: &Loaded) -> String {
    let shown: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    shown.join("\n\n")
}

const BOTH: &str = "[alerts]\nrecovery = [\"mail\"]\nescalation = [\"pager\", \"mail\"]\n";

#[test]
fn everything() {
    let loaded = load(
        "[alerts]\n\
         recovery = [\"mail\"]\n\
         escalation = [\"pager\", \"mail\"]\n\
         information = []\n\
         outage = [\"pager\"]\n\
         notify-after = \"20s\"\n\
         group-wait = \"0s\"\n\
         recovery-group-wait = \"1m\"\n\
         repeat-interval = \"never\"\n\
         give-up-after = \"1d\"\n\
         flapping = { recoveries = 5, window = \"30m\", interval = \"2h\" }\n\
         storm = { causes = 20, interval = \"5m\" }\n\
         [[alerts.route]]\n\
         services = [\"w*\", \"web\"]\n\
         kind = [\"recovery\", \"information\"]\n\
         severity = \"critical\"\n\
         channels = [\"pager\"]\n",
        "alerts = { recovery = [] }\n",
    );
    assert_eq!(shown(&loaded), "");
    let config = loaded.config.unwrap();
    let name = |name: &str| ChannelName::new(name).unwrap();
    assert_eq!(
        config.alerts,
        AlertSettings {
            routes: Routes {
                recovery: Some(vec![name("mail")]),
                escalation: Some(vec![name("pager"), name("mail")]),
                outage: Some(vec![name("pager")]),
                degradation: None,
                information: Some(Vec::new()),
            },
            special: vec![Route {
                services: vec!["w*".to_owned(), "web.service".to_owned()],
                kinds: vec![AlertKind::Recovery, AlertKind::Information],
                severities: vec![Severity::Critical],
                channels: vec![name("pager")],
            }],
            notify_after: Duration::from_secs(20),
            group_wait: Duration::ZERO,
            recovery_group_wait: Duration::from_secs(60),
            repeat_interval: None,
            give_up_after: Duration::from_secs(86_400),
            flapping: Flapping {
                recoveries: 5,
                window: Duration::from_secs(1800),
                interval: Duration::from_secs(7200),
            },
            storm: Storm {
                causes: 20,
                interval: Duration::from_secs(300),
            },
        }
    );
    let service = config.services.values().next().unwrap();
    assert_eq!(
        service.alerts,
        Some(Routes {
            recovery: Some(Vec::new()),
            ..Routes::default()
        })
    );
}

#[rstest]
#[case::unknown(
    "[alerts]\nescalation = [\"pagr\", \"mail\"]",
    "there is no channel `pagr`\n --> prunella.toml:4:15\n"
)]
#[case::meant(
    "[alerts]\nescalation = [\"pagr\"]",
    "did you mean `pager`? There are: mail, pager"
)]
#[case::unused(
    "[alerts]\nescalation = [\"mail\"]",
    "nobody hears of anything by `pager`\n --> prunella.toml:2:9\n"
)]
#[case::no_alerts_at_all("", "name it under [alerts], such as `escalation = [\"mail\"]`")]
#[case::twice("[alerts]\nescalation = [\"mail\", \"mail\"]", "`mail` is named twice")]
#[case::no_name("[alerts]\nescalation = [\"To All\"]", "`To All` is not a name")]
#[case::unknown_key(
    "[alerts]\nescalations = []",
    "did you mean `escalation`? Valid in [alerts]:"
)]
#[case::no_list(
    "[alerts]\nescalation = \"mail\"",
    "`escalation` must be a list of text"
)]
#[case::to_nowhere(
    "[[alerts.route]]\nseverity = \"critical\"",
    "this route leads nowhere: it has no `channels`"
)]
#[case::severity(
    "[[alerts.route]]\nseverity = \"fatal\"\nchannels = []",
    "`severity` cannot be `fatal`"
)]
#[case::one_of_many(
    "[[alerts.route]]\nkind = [\"recovery\", \"escalations\"]\nchannels = []",
    "did you mean `escalation`? Valid are: recovery, escalation, outage, degradation, information"
)]
#[case::nobody_there(
    "[[alerts.route]]\nservices = [\"db-*\"]\nchannels = []",
    "warning: no service in Prunella's care is like `db-*`\n --> prunella.toml:4:13"
)]
#[case::no_pattern(
    "[[alerts.route]]\nservices = [\"d b*\"]\nchannels = []",
    "`d b*` is not a pattern of units"
)]
#[case::often(
    "[alerts]\nrepeat-interval = \"1s\"",
    "`repeat-interval` must be at least 1m"
)]
#[case::no_flapping(
    "[alerts]\nflapping = { recoveries = 0 }",
    "`recoveries` must lie between 1 and 1000"
)]
fn mistakes(#[case] text: &str, #[case] expected: &str) {
    let shown = shown(&load(text, ""));
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn a_mistake_in_a_services_file_is_shown_there() {
    let shown = shown(&load(BOTH, "alerts = { recovery = [\"chat\"] }\n"));
    assert!(
        shown.contains("there is no channel `chat`\n --> services.d/web.toml:2:24\n"),
        "{shown}"
    );
}

const SPECIAL: &str = "\
    [[alerts.route]]\nservices = [\"db-*.service\"]\nchannels = [\"pager\"]\n\
    [[alerts.route]]\nseverity = \"critical\"\nchannels = [\"pager\", \"mail\"]\n";

/// Kind, severity, unit, the service's own file; who hears of it.
#[rstest]
#[case::by_kind(AlertKind::Recovery, Severity::Info, "web.service", "", &["mail"])]
#[case::nothing_set(AlertKind::Information, Severity::Info, "web.service", "", &[])]
#[case::by_name(AlertKind::Recovery, Severity::Info, "db-1.service", "", &["pager"])]
#[case::the_first(AlertKind::Escalation, Severity::Critical, "db-1.service", "", &["pager"])]
#[case::by_severity(AlertKind::Recovery, Severity::Critical, "web.service", "", &["pager", "mail"])]
#[case::an_outage_like_an_escalation(AlertKind::Outage, Severity::Warning, "web.service", "", &["pager", "mail"])]
#[case::own_escalation_for_an_outage(
    AlertKind::Outage,
    Severity::Warning,
    "web.service",
    "alerts = { escalation = [\"mail\"] }",
    &["mail"]
)]
#[case::own_outage(AlertKind::Outage, Severity::Warning, "web.service", "alerts = { outage = [] }", &[])]
#[case::own(AlertKind::Recovery, Severity::Critical, "web.service", "alerts = { recovery = [] }", &[])]
#[case::own_for_another_kind(
    AlertKind::Escalation,
    Severity::Warning,
    "web.service",
    "alerts = { recovery = [] }",
    &["pager", "mail"]
)]
fn who_hears_of_it(
    #[case] kind: AlertKind,
    #[case] severity: Severity,
    #[case] unit: &str,
    #[case] service: &str,
    #[case] expected: &[&str],
) {
    let config = load(&format!("{BOTH}{SPECIAL}"), service).config.unwrap();
    let unit = UnitName::new(unit).unwrap();
    let channels: Vec<&str> = config
        .alerts
        .channels(kind, severity, &unit, config.services.get(&unit))
        .iter()
        .map(ChannelName::as_str)
        .collect();
    assert_eq!(channels, expected);
}

#[test]
fn a_service_can_be_told_of_sooner_than_the_others() {
    let config = load(
        "[alerts]\nnotify-after = \"20s\"\n",
        "alerts = { notify-after = \"3s\" }\n",
    )
    .config
    .unwrap();
    let service = config.services.values().next();
    assert_eq!(config.alerts.notify_after(service), Duration::from_secs(3));
    assert_eq!(config.alerts.notify_after(None), Duration::from_secs(20));
}
