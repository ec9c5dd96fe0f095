//! `prunella alerts`: messages about incidents, how far they have got, and
//! whether channels work.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use anstyle::Style;
use prunella_config::{Config, channels::ChannelSettings};
use prunella_core::{
    ChannelName, Timestamp,
    alert::{AlertKind, Dispatch, DispatchFilter, DispatchState},
    incident::IncidentId,
    text::one_line,
};
use prunella_daemon::configuration::load_config;

use crate::{
    args::{AlertsArgs, AlertsCommand, AlertsListArgs},
    exit::{Exit, Problem},
    output::{self, BAD, FAIR, GOOD, PLAIN, QUIET, STRONG},
    paths::Paths,
    query::Prunella,
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
            let dispatch = Prunella::new(paths).ask(|queries| queries.alert(&args.id))?;
            if args.json {
                output::print_json(&dispatch)?;
            } else {
                output::print(&show(&dispatch))?;
            }
            Ok(Exit::Ok)
        }
        Some(AlertsCommand::Retry(args)) => retry(paths, args.id.as_deref()),
        Some(AlertsCommand::Test(args)) => test(paths, &args.channel),
    }
}

fn list(paths: &Paths, args: &AlertsListArgs) -> anyhow::Result<Exit> {
    let filter = DispatchFilter {
        states: args.state.iter().map(|state| state.state()).collect(),
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
    let dispatches = Prunella::new(paths).ask(|queries| queries.alerts(&filter))?;
    if args.json {
        output::print_json_lines(&dispatches)?;
        return Ok(Exit::Ok);
    }
    let mut text = match (dispatches.is_empty(), filtered) {
        (true, true) => "No message is like that.\n".to_owned(),
        (true, false) => "Nobody was told anything so far.\n".to_owned(),
        (false, _) => table(&dispatches, time::now(), output::table_width()),
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
        DispatchState::Waiting | DispatchState::Sending | DispatchState::Withdrawn => FAIR,
        DispatchState::Refused | DispatchState::Failed => BAD,
    }
}

fn table(dispatches: &[Dispatch], now: Timestamp, width: usize) -> String {
    let mut table = Table::new(&[
        Column::fixed("ID"),
        Column::shrinks("WHEN", 5),
        Column::shrinks("CHANNEL", 6),
        Column::fixed("STATE"),
        Column::optional("NEXT TRY", 8),
        Column::below("WHAT"),
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
            Cell::new(dispatch.state.as_str(), style(dispatch.state)),
            Cell::new(next(dispatch, now), PLAIN),
            Cell::new(one_line(&what, 400), PLAIN),
        ]);
    }
    table.render(width, 0)
}

fn next(dispatch: &Dispatch, now: Timestamp) -> String {
    match dispatch.next {
        Some(next) if next <= now => "now".to_owned(),
        // Rounded up: it is not due before.
        Some(next) => format!(
            "in {}",
            time::span(next.since(now) + Duration::from_millis(999))
        ),
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
        &format!("{state}{}{state:#}", dispatch.state.as_str()),
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
            (state, Some(why)) => format!("{}: {}", state.as_str(), one_line(why, 200)),
            (state, None) => state.as_str().to_owned(),
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
                dispatch.message.kind.as_str()
            },
            dispatch.message.id,
        );
    }
    text
}

fn retry(paths: &Paths, id: Option<&str>) -> anyhow::Result<Exit> {
    let retried = Prunella::new(paths).order(|orders| orders.retry_alerts(id))?;
    output::print(&match (&retried.id, &retried.channel, retried.messages) {
        (Some(id), Some(channel), _) => format!("{id} is tried again now, by {channel}.\n"),
        (_, _, 0) => "Nothing waits to be tried again.\n".to_owned(),
        (_, _, 1) => "1 message is tried again now.\n".to_owned(),
        (_, _, number) => format!("{number} messages are tried again now.\n"),
    })?;
    Ok(Exit::Ok)
}

fn test(paths: &Paths, name: &str) -> anyhow::Result<Exit> {
    let config = load_config(paths)?;
    let settings = settings(&config, name)?;
    let begun = Instant::now();
    // The daemon's own credentials, and its sandbox, are what counts.
    let messages = if settings.kind.holds_alerts() { 2 } else { 1 };
    let limit = settings.timeout * messages + Duration::from_secs(5);
    let tested = Prunella::new(paths)
        .within(limit)
        .order(|orders| orders.test_channel(&settings.name))?;
    let took = time::took(begun.elapsed());
    output::print(&format!(
        "{GOOD}{} accepted it: {}{GOOD:#} {QUIET}({took}){QUIET:#}\n",
        tested.channel, tested.detail
    ))?;
    Ok(Exit::Ok)
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

#[cfg(test)]
mod tests {
    use prunella_core::alert::{Message, Severity};
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    fn dispatch(state: DispatchState) -> Dispatch {
        Dispatch {
            channel: ChannelName::new("mail").unwrap(),
            state,
            created: Timestamp::from_millis(1_000),
            tries: 2,
            tried: Some(Timestamp::from_millis(30_000)),
            next: (state == DispatchState::Waiting).then_some(Timestamp::from_millis(90_000)),
            detail: Some("451 try again later".to_owned()),
            message: Message {
                id: "20261122-030000-9f3ac2d4".to_owned(),
                kind: AlertKind::Escalation,
                severity: Severity::Critical,
                at: Timestamp::from_millis(1_000),
                host: "shop1".to_owned(),
                units: Vec::new(),
                incidents: vec![IncidentId::from_text("20261122-025959-0001")],
                alert_group: "t".to_owned(),
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
            let text = plain(&table(&dispatches, Timestamp::from_millis(60_000), width));
            assert!(text.lines().all(|line| line.width() <= width), "{text}");
            assert!(text.contains("its disk is full"), "{text}");
        }
        let text = plain(&table(&dispatches, Timestamp::from_millis(60_000), 200));
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
