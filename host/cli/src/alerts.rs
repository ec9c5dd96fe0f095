//! `prunella alerts`: messages about incidents, how far they have got, and
//! whether channels work.

use std::{fmt::Write as _, sync::Arc, time::Instant};

use anstyle::Style;
use prunella_api::{Client, ClientError, Refusal, RefusalKind};
use prunella_core::{
    ChannelName,
    alert::{AlertKind, Dispatch, DispatchFilter, DispatchState, Message, Severity},
    config::{Config, channels::ChannelSettings},
    incident::IncidentId,
    report::Moment,
    text::one_line,
};
use prunella_notify::{Delivery, channel};
use prunella_report::{Letter, Letters};
use prunella_store::{FoundDispatch, Store, StoreError};

use crate::{
    args::{AlertsArgs, AlertsCommand, AlertsListArgs},
    assembly::load_config,
    desk,
    exit::{Exit, Problem},
    look::Looker,
    output::{self, BAD, FAIR, GOOD, PLAIN, QUIET, STRONG},
    paths::Paths,
    table::{Cell, Column, Table},
    time,
};

/// How many are listed, unless told otherwise.
const LIMIT: u32 = 50;

/// Runs the command.
pub(crate) fn run(paths: &Paths, args: AlertsArgs) -> anyhow::Result<Exit> {
    match args.command {
        None => list(paths, &args.list),
        Some(AlertsCommand::Show(args)) => {
            let dispatch = Looker::new(paths).alert(&args.id)?;
            if args.json {
                output::print_json(&dispatch)?;
            } else {
                output::print(&show(&dispatch))?;
            }
            Ok(Exit::Ok)
        }
        Some(AlertsCommand::Retry(args)) => retry(paths, args.id),
        Some(AlertsCommand::Test(args)) => test(paths, &args.channel),
    }
}

fn list(paths: &Paths, args: &AlertsListArgs) -> anyhow::Result<Exit> {
    let filter = DispatchFilter {
        states: args.only.iter().map(|state| state.state()).collect(),
        channel: args
            .channel
            .as_deref()
            .map(ChannelName::new)
            .transpose()
            .map_err(|error| Problem::new(Exit::Usage, error.to_string()))?,
        incident: None,
        limit: Some(args.limit.unwrap_or(LIMIT)),
    };
    let filtered = !filter.states.is_empty() || filter.channel.is_some();
    let dispatches = Looker::new(paths).alerts(filter)?;
    if args.json {
        output::print_json_lines(&dispatches)?;
        return Ok(Exit::Ok);
    }
    let mut text = match (dispatches.is_empty(), filtered) {
        (true, true) => "No message is like that.\n".to_owned(),
        (true, false) => "Nobody was told anything so far.\n".to_owned(),
        (false, _) => table(&dispatches, time::now(), output::width()),
    };
    if args.limit.is_none() && dispatches.len() >= LIMIT as usize {
        let _ = writeln!(
            text,
            "{QUIET}These are the latest {LIMIT}; --limit shows more.{QUIET:#}"
        );
    }
    output::print(&text)?;
    Ok(Exit::Ok)
}

fn style(state: DispatchState) -> Style {
    match state {
        DispatchState::Delivered => GOOD,
        DispatchState::Waiting | DispatchState::Sending => FAIR,
        DispatchState::Refused | DispatchState::Failed => BAD,
    }
}

fn table(dispatches: &[Dispatch], now: u64, width: usize) -> String {
    let mut table = Table::new(&[
        Column::fixed("ID"),
        Column::shrinks("WHEN", 5),
        Column::shrinks("CHANNEL", 6),
        Column::fixed("STATE"),
        Column::optional("NEXT TRY", 8),
        Column::shrinks("WHAT", 20),
    ]);
    for dispatch in dispatches {
        let what = match (&dispatch.detail, dispatch.state) {
            (Some(why), state) if state != DispatchState::Delivered => {
                format!("{} ({why})", dispatch.message.headline)
            }
            _ => dispatch.message.headline.clone(),
        };
        table.row(vec![
            Cell::new(&dispatch.message.id, PLAIN),
            Cell::new(time::ago(dispatch.created, now), QUIET),
            Cell::new(dispatch.channel.as_str(), PLAIN),
            Cell::new(dispatch.state.word(), style(dispatch.state)),
            Cell::new(next(dispatch, now), PLAIN),
            Cell::new(one_line(&what, 400), PLAIN),
        ]);
    }
    table.render(width, 0)
}

fn next(dispatch: &Dispatch, now: u64) -> String {
    match dispatch.next {
        Some(next) if next <= now => "now".to_owned(),
        Some(next) => format!("in {}", time::span((next - now).div_ceil(1_000))),
        None => String::new(),
    }
}

/// One message, with all that is known of it.
fn show(dispatch: &Dispatch) -> String {
    let message = &dispatch.message;
    let state = style(dispatch.state);
    let mut text = format!("{STRONG}{}{STRONG:#}\n\n", message.headline);
    let mut fact = |name: &str, value: &str| {
        let _ = writeln!(text, "{QUIET}{name:>9}{QUIET:#}  {value}");
    };
    fact("id", &message.id);
    fact("channel", dispatch.channel.as_str());
    fact(
        "state",
        &format!("{state}{}{state:#}", dispatch.state.word()),
    );
    fact("written", &time::local(dispatch.created));
    if let Some(tried) = dispatch.tried {
        let times = match dispatch.tries {
            1 => "once".to_owned(),
            tries => format!("{tries} times"),
        };
        fact("tried", &format!("{times}, last {}", time::local(tried)));
    }
    if let Some(next) = dispatch.next {
        fact("next try", &time::local(next));
    }
    if let Some(detail) = &dispatch.detail {
        let shown = one_line(detail, 400);
        let mut name = "outcome";
        for line in output::wrap(&shown, output::width().saturating_sub(11)) {
            fact(name, &line);
            name = "";
        }
    }
    fact(
        "about",
        &message
            .incidents
            .iter()
            .map(IncidentId::as_str)
            .collect::<Vec<_>>()
            .join(", "),
    );
    text.push('\n');
    text.push_str(&message.text);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// To whom an incident was told, for the end of its report; empty when to
/// nobody.
pub(crate) fn told(dispatches: &[Dispatch]) -> String {
    let mut text = String::new();
    for dispatch in dispatches.iter().rev() {
        let style = style(dispatch.state);
        let when = dispatch.tried.unwrap_or(dispatch.created);
        let how = match (dispatch.state, &dispatch.detail) {
            (DispatchState::Delivered, _) => "was told".to_owned(),
            (state, Some(why)) => format!("{}: {}", state.word(), one_line(why, 200)),
            (state, None) => state.word().to_owned(),
        };
        if text.is_empty() {
            text.push_str("\nTold\n");
        }
        let _ = writeln!(
            text,
            "  {}  {} {style}{how}{style:#} {QUIET}({}, {}){QUIET:#}",
            time::local(when),
            dispatch.channel,
            if dispatch.message.resolved && dispatch.message.kind == AlertKind::Recovery {
                "well again"
            } else {
                dispatch.message.kind.word()
            },
            dispatch.message.id,
        );
    }
    text
}

fn retry(paths: &Paths, id: Option<String>) -> anyhow::Result<Exit> {
    let notes = match Client::new(&paths.run).retry_alerts(id.clone()) {
        Err(ClientError::NotListening(_)) => {
            let config = load_config(paths)?;
            let store = Arc::new(crate::pause::store(paths)?);
            let notes = retry_in(&store, id.as_deref())?;
            // Nobody else is there to send them.
            if let Some(desk) = desk::alone(paths, store, config) {
                desk.work_for(desk::PATIENCE);
            }
            notes
        }
        other => other?,
    };
    for note in &notes {
        output::print(&format!("{note}\n"))?;
    }
    Ok(Exit::Ok)
}

/// Has a message tried again, or all that did not get through; for the daemon
/// too. Answers with what to tell whoever asked.
pub(crate) fn retry_in(store: &Store, id: Option<&str>) -> Result<Vec<String>, Refusal> {
    let failed = |error: StoreError| Refusal::new(RefusalKind::Failed, error.to_string());
    let now = time::now();
    let Some(id) = id else {
        let number = store.retry_dispatches(None, now).map_err(failed)?;
        return Ok(vec![match number {
            0 => "Nothing waits to be tried again.".to_owned(),
            1 => "1 message is tried again now.".to_owned(),
            number => format!("{number} messages are tried again now."),
        }]);
    };
    let dispatch = find(store, id)?;
    let id = &dispatch.message.id;
    let (channel, state) = (&dispatch.channel, dispatch.state);
    if store.retry_dispatches(Some(id), now).map_err(failed)? == 0 {
        return Err(Refusal::new(
            RefusalKind::Failed,
            match state {
                DispatchState::Delivered => format!("{channel} has the message {id} already"),
                _ => format!("the message {id} is being sent just now"),
            },
        ));
    }
    Ok(vec![format!("{id} is tried again now, by {channel}.")])
}

/// One message, by its id or a part of it; for the daemon too.
pub(crate) fn find(store: &Store, id: &str) -> Result<Dispatch, Refusal> {
    let found = store
        .find_dispatch(id)
        .map_err(|error| Refusal::new(RefusalKind::Failed, error.to_string()))?;
    let shown = one_line(id, 60);
    match found {
        FoundDispatch::One(dispatch) => Ok(*dispatch),
        FoundDispatch::None => Err(Refusal::new(
            RefusalKind::NotFound,
            format!("there is no message `{shown}`"),
        )
        .help("list them with `prunella alerts`")),
        FoundDispatch::Many(ids) => Err(Refusal::new(
            RefusalKind::NotFound,
            format!("`{shown}` could be several messages"),
        )
        .help(format!("say which: {}", ids.join(", ")))),
    }
}

fn test(paths: &Paths, name: &str) -> anyhow::Result<Exit> {
    let config = load_config(paths)?;
    let settings = settings(&config, name)?;
    let begun = Instant::now();
    // The daemon's own credentials, and its sandbox, are what counts.
    let limit = settings.timeout + std::time::Duration::from_secs(5);
    let answer = match Client::new(&paths.run).test_channel(settings.name.clone(), limit) {
        Err(ClientError::NotListening(_)) => try_channel(paths, settings),
        Ok(notes) => Ok(notes),
        Err(ClientError::Refused(refusal)) => Err(refusal),
        Err(error) => return Err(error.into()),
    };
    let took = time::took(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
    match answer {
        Ok(notes) => {
            for note in notes {
                output::print(&format!("{GOOD}{note}{GOOD:#} {QUIET}({took}){QUIET:#}\n"))?;
            }
            Ok(Exit::Ok)
        }
        Err(refusal) => Err(ClientError::Refused(refusal).into()),
    }
}

fn settings<'a>(config: &'a Config, name: &str) -> Result<&'a ChannelSettings, Problem> {
    let shown = one_line(name, 60);
    let channel = ChannelName::new(name).ok();
    channel
        .and_then(|channel| config.channels.get(&channel))
        .ok_or_else(|| {
            let known: Vec<&str> = config.channels.keys().map(ChannelName::as_str).collect();
            let help = if known.is_empty() {
                "no channel is configured: [channel.NAME] in prunella.toml makes one".to_owned()
            } else {
                format!("there are: {}", known.join(", "))
            };
            Problem::new(Exit::NotFound, format!("there is no channel `{shown}`")).help(help)
        })
}

/// Sends a real message by a channel now; for the daemon too. Answers with what
/// came of it.
pub(crate) fn try_channel(
    paths: &Paths,
    settings: &ChannelSettings,
) -> Result<Vec<String>, Refusal> {
    let failed = |message: String| Refusal::new(RefusalKind::Failed, message);
    let name = &settings.name;
    let opened = channel::open(settings).map_err(|error| failed(error.to_string()))?;
    let message = sample(paths, name);
    match opened.send(&message, Instant::now() + settings.timeout) {
        Delivery::Delivered { detail } => Ok(vec![format!("{name} has taken it: {detail}")]),
        Delivery::TryAgain { reason, .. } => {
            Err(failed(format!("{name} does not work just now: {reason}"))
                .help("an alert would be kept and tried again"))
        }
        Delivery::Refused { reason } => Err(failed(format!("{name} does not take it: {reason}"))
            .help("an alert would be kept as refused, and shown by `prunella alerts`")),
    }
}

/// The message of `prunella alerts test`.
fn sample(paths: &Paths, channel: &ChannelName) -> Message {
    let now = time::now();
    let host = desk::hostname();
    let letter = Letter::notice(
        &format!("A test of the channel {channel}, from {host}"),
        &[
            "Somebody has asked Prunella to send this: `prunella alerts test`.",
            "Nothing has failed, and nothing has to be done. Alerts will look like this.",
        ],
        &host,
        Moment::of_host(now),
        Severity::Info,
    );
    let written = Letters::new(Some(&paths.templates())).write(&letter);
    // Unlike any other: each test is a message of its own.
    let id = format!(
        "{}-{:04x}",
        IncidentId::new(now, 0).as_str().trim_end_matches("-0000"),
        std::process::id() & 0xffff
    );
    Message {
        trouble: format!("{id}-test"),
        id: format!("{id}-{:06x}", now % 0xff_ffff),
        kind: AlertKind::Information,
        severity: Severity::Info,
        at: now,
        host,
        units: Vec::new(),
        incidents: Vec::new(),
        resolved: false,
        headline: written.subject,
        facts: letter.facts(),
        text: written.text,
        html: Some(written.html),
    }
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    fn dispatch(state: DispatchState) -> Dispatch {
        Dispatch {
            channel: ChannelName::new("mail").unwrap(),
            state,
            created: 1_000,
            tries: 2,
            tried: Some(30_000),
            next: (state == DispatchState::Waiting).then_some(90_000),
            detail: Some("451 try again later".to_owned()),
            message: Message {
                id: "20261122-030000-9f3ac2d4".to_owned(),
                kind: AlertKind::Escalation,
                severity: Severity::Critical,
                at: 1_000,
                host: "shop1".to_owned(),
                units: Vec::new(),
                incidents: vec![IncidentId::from_text("20261122-025959-0001")],
                trouble: "t".to_owned(),
                resolved: false,
                headline: "postgresql@15-main.service needs a person: its disk is full".to_owned(),
                facts: Vec::new(),
                text: "The whole of it.".to_owned(),
                html: None,
            },
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn the_list_fits_and_says_why_and_when() {
        let dispatches = DispatchState::ALL.map(dispatch);
        for width in [80, 120, 200] {
            let text = plain(&table(&dispatches, 60_000, width));
            assert!(text.lines().all(|line| line.width() <= width), "{text}");
            assert_eq!(text.lines().count(), 6, "{text}");
        }
        let text = plain(&table(&dispatches, 60_000, 200));
        assert!(text.contains("in 30 s"), "{text}");
        assert!(text.contains("(451 try again later)"), "{text}");
    }

    #[test]
    fn one_is_shown_with_all_that_is_known() {
        let text = plain(&show(&dispatch(DispatchState::Refused)));
        for wanted in [
            "20261122-030000-9f3ac2d4",
            "refused",
            "2 times",
            "451 try again later",
            "20261122-025959-0001",
            "The whole of it.",
        ] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        assert!(!text.contains("next try"), "{text}");
    }

    #[test]
    fn an_incident_says_to_whom_it_was_told() {
        assert_eq!(told(&[]), "");
        let text = plain(&told(&[
            dispatch(DispatchState::Delivered),
            dispatch(DispatchState::Waiting),
        ]));
        assert!(text.contains("mail was told"), "{text}");
        assert!(text.contains("mail waiting: 451 try again later"), "{text}");
    }
}
