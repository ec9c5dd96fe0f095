//! The overview: does anything need me, what is unwell, what was healed, how is the host.

use std::time::Duration;

use askama::Template;
use axum::response::Response;
use futures_util::future::join_all;
use prunella_api::{DiskStatus, MetricHistory, PauseStatus, ServiceStatus, StatusReport};
use prunella_core::{
    Timestamp,
    health::{Health, HealthState, Metric},
    oversight::Approval,
    summary::Summary,
    text::capital,
    text::counted,
};
use prunella_report::length;

use super::{DAY, Frame, Unit, Visitor, now, render};
use crate::{
    daemon::part,
    plot::{Beside, Plot},
    show::When,
};

/// What of the host is plotted.
const HOST: [Metric; 3] = [
    Metric::CpuPermille,
    Metric::MemoryPermille,
    Metric::LoadMilli,
];

/// Healings that are listed.
const HEALED: usize = 8;

/// So many well services are shown openly; more can be unfolded.
const OPENLY: usize = 60;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    frame: Frame,
    host: String,
    verdict: String,
    beneath: String,
    calm: bool,
    needs: Vec<Need>,
    unwell: Vec<Tile>,
    well: Vec<Tile>,
    openly: bool,
    healed: Vec<Healed>,
    pauses: Vec<Pause>,
    facts: Vec<Fact>,
    plots: Vec<Plot>,
    notices: Vec<String>,
}

/// Something that a person has to do.
struct Need {
    /// A word before it.
    label: &'static str,
    title: String,
    text: String,
    when: Option<When>,
    href: Option<String>,
    action: &'static str,
}

/// A service.
pub(crate) struct Tile {
    pub(crate) unit: Unit,
    pub(crate) state: &'static str,
    pub(crate) critical: bool,
    pub(crate) note: String,
    pub(crate) since: Option<When>,
    /// The incident that is open.
    pub(crate) incident: Option<String>,
    order: (HealthState, bool, String),
}

struct Healed {
    unit: Unit,
    when: When,
    what: String,
    strategy: String,
    took: String,
    href: String,
}

pub(crate) struct Pause {
    pub(crate) what: String,
    /// As its form names it; everything, when empty.
    pub(crate) unit: String,
    pub(crate) text: String,
}

struct Fact {
    name: String,
    value: String,
    /// Percent of it that is used.
    share: Option<u64>,
}

/// `GET /`
pub async fn page(visitor: Visitor) -> Result<Response, Response> {
    let now = now();
    let week = now.saturating_sub(DAY * 7).as_millis();
    let healed = format!("/incidents?since={week}&outcome=healed&limit={HEALED}");
    let (status, approvals, healed) = futures_util::join!(
        visitor.get::<StatusReport>("/status"),
        visitor.get::<Vec<Approval>>("/approvals"),
        visitor.get::<Vec<Summary>>(&healed),
    );
    let (status, approvals, healed) = (status?, approvals?, healed?);
    let since = now.saturating_sub(DAY).as_millis();
    let histories = join_all(HOST.map(|metric| {
        let address = format!("/metrics/host/{}?since={since}", metric.as_str());
        let visitor = &visitor;
        async move { visitor.ask::<MetricHistory>(&address).await }
    }))
    .await;
    // A curve that is missing is no reason to show nothing.
    let plots = histories.iter().flatten().flat_map(plots).collect();
    Ok(render(&make(
        &visitor, now, &status, &approvals, &healed, plots,
    )))
}

fn plots(history: &MetricHistory) -> Vec<Plot> {
    let span = (history.since, history.until);
    history
        .series
        .iter()
        .filter_map(|series| Plot::new(history.metric, series, span, Beside::default()))
        .collect()
}

fn make(
    visitor: &Visitor,
    now: Timestamp,
    status: &StatusReport,
    approvals: &[Approval],
    healed: &[Summary],
    plots: Vec<Plot>,
) -> Page {
    let needs = needs(now, status, approvals);
    let mut tiles: Vec<Tile> = status.services.iter().map(|it| tile(it, now)).collect();
    tiles.sort_by(|one, other| one.order.cmp(&other.order));
    let (well, unwell): (Vec<Tile>, Vec<Tile>) =
        tiles.into_iter().partition(|tile| is_calm(tile.state));
    Page {
        frame: visitor.frame("Overview", "overview"),
        host: status.host.name.clone(),
        verdict: match needs.len() {
            0 => "Nothing needs you.".to_owned(),
            1 => "One thing needs you.".to_owned(),
            more => format!("{more} things need you."),
        },
        calm: needs.is_empty(),
        beneath: beneath(status, unwell.len()),
        needs,
        openly: well.len() <= OPENLY,
        unwell,
        well,
        healed: healed.iter().map(|it| healing(it, now)).collect(),
        pauses: status
            .pauses
            .iter()
            .map(|pause| paused(pause, now))
            .collect(),
        facts: facts(status),
        plots,
        notices: status.notices.clone(),
    }
}

fn is_calm(state: &str) -> bool {
    matches!(state, "healthy" | "stopped" | "paused")
}

/// How it stands, in a sentence or two.
fn beneath(status: &StatusReport, unwell: usize) -> String {
    let all = status.services.len();
    let services = match (all, unwell) {
        (0, _) => {
            return "No service is in Prunella's care yet: `prunella enable UNIT` puts one there."
                .to_owned();
        }
        (1, 0) => "The service in care is well.".to_owned(),
        (_, 0) => format!("All {all} services in care are well."),
        (_, 1) => format!("One of {} is unwell.", counted(all, "service")),
        _ => format!("{unwell} of {} are unwell.", counted(all, "service")),
    };
    let day = &status.day;
    let healed = match day.healed + day.recovered {
        0 => "Nothing had to be healed within a day.".to_owned(),
        healed => format!("{healed} healed within a day."),
    };
    format!("{services} {healed}")
}

fn needs(now: Timestamp, status: &StatusReport, approvals: &[Approval]) -> Vec<Need> {
    let mut needs: Vec<Need> = status
        .alarms
        .iter()
        .map(|alarm| Need {
            label: "Prunella",
            title: capital(alarm),
            text: String::new(),
            when: None,
            href: None,
            action: "",
        })
        .collect();
    let waiting = approvals.iter().filter(|approval| approval.waits(now));
    needs.extend(waiting.map(|approval| {
        let proposal = &approval.proposal;
        let plan = approval.plan.as_ref();
        let act = prunella_report::planned_act(&proposal.act, &proposal.target, plan);
        Need {
            label: "Waits for your word",
            title: format!("{}: {act}?", proposal.unit),
            text: capital(&approval.why),
            when: Some(When::new(approval.asked_at, now)),
            href: Some("/needs-you".to_owned()),
            action: "Decide",
        }
    }));
    // Those that wait for a word are told already.
    let asked = status
        .needs_people
        .iter()
        .filter(|it| it.approval.is_none());
    needs.extend(asked.map(|it| Need {
        label: "Could not be healed",
        title: it.unit.to_string(),
        text: capital(&it.reason),
        when: Some(When::new(it.at, now)),
        href: Some(format!("/incidents/{}", part(it.incident.as_str()))),
        action: "See what to do",
    }));
    needs.extend(status.awaiting_grant.iter().map(|it| Need {
        label: "May only look",
        title: format!("Strategy {}", it.strategy),
        text: capital(&it.reason),
        when: None,
        href: Some("/strategies".to_owned()),
        action: "See strategies",
    }));
    needs
}

/// A service as it stands.
pub(crate) fn tile(service: &ServiceStatus, now: Timestamp) -> Tile {
    let (state, note, since) = match &service.health {
        Some(health) => (health.state, note(health), Some(health.began())),
        // What is not known is never taken for well.
        None => (
            HealthState::Unknown,
            "Its health is not known".to_owned(),
            service.since,
        ),
    };
    let note = match (&service.waits, state) {
        (Some(waits), _) => capital(&waits.reason),
        (None, HealthState::Healthy) => String::new(),
        _ => note,
    };
    Tile {
        unit: Unit::new(&service.unit),
        state: state.as_str(),
        critical: service.critical,
        note,
        since: since.map(|since| When::new(since, now)),
        incident: service
            .open_incident
            .as_ref()
            .map(|id| format!("/incidents/{}", part(id.as_str()))),
        order: (state, !service.critical, service.unit.to_string()),
    }
}

fn note(health: &Health) -> String {
    match health.symptoms.first() {
        Some(symptom) => capital(&symptom.evidence),
        None => capital(&health.evidence),
    }
}

fn healing(summary: &Summary, now: Timestamp) -> Healed {
    Healed {
        unit: Unit::new(&summary.unit),
        when: When::new(summary.at, now),
        what: summary.cause.clone(),
        strategy: summary.strategy.clone().unwrap_or_default(),
        took: summary.recovered_after.map(length).unwrap_or_default(),
        href: format!("/incidents/{}", part(summary.id.as_str())),
    }
}

pub(crate) fn paused(pause: &PauseStatus, now: Timestamp) -> Pause {
    let until = match pause.until {
        Some(until) => format!("until {}", When::new(until, now).full),
        None => "until it is resumed".to_owned(),
    };
    Pause {
        what: pause
            .unit
            .as_ref()
            .map_or("All healing".to_owned(), ToString::to_string),
        unit: pause
            .unit
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        text: format!("paused {until}, by {}: {}", pause.by, pause.reason),
    }
}

fn facts(status: &StatusReport) -> Vec<Fact> {
    let host = &status.host;
    let mut facts = Vec::new();
    let mut add = |name: &str, value: String, share| {
        facts.push(Fact {
            name: name.to_owned(),
            value,
            share,
        });
    };
    add("Up", length(Duration::from_secs(host.uptime_s)), None);
    if let Some(state) = &host.system_state {
        add("systemd", state.clone(), None);
    }
    if let Some(load) = &host.load {
        let value = format!(
            "{:.2} on {}",
            load.one,
            counted(load.processors as usize, "processor")
        );
        add("Load", value, None);
    }
    if let Some(memory) = &host.memory {
        let used = memory.total.saturating_sub(memory.available);
        let share = (memory.total > 0).then(|| used.saturating_mul(100) / memory.total.max(1));
        let shown = |bytes| Metric::MemoryBytes.shown(bytes);
        add(
            "Memory",
            format!("{} of {}", shown(used), shown(memory.total)),
            share,
        );
    }
    for disk in host.disks.iter().filter(|disk| !disk.in_memory).take(8) {
        facts.push(disk_fact(disk));
    }
    facts
}

fn disk_fact(disk: &DiskStatus) -> Fact {
    let free = Metric::DiskFreeBytes.shown(disk.bytes.available);
    let read_only = if disk.read_only { ", read-only" } else { "" };
    Fact {
        name: format!("Disk {}", disk.place),
        value: format!("{free} free{read_only}"),
        share: disk.bytes.percent(),
    }
}
