//! Messages to people: finding one, trying one again, and testing a channel.

use std::time::Instant;

use prunella_api::{Answer, ChannelTest, Refusal, RefusalKind, Retried};
use prunella_config::{Config, channels::ChannelSettings};
use prunella_core::{
    ChannelName,
    alert::{AlertKind, Dispatch, DispatchState, Message, Severity},
    incident::IncidentId,
    text::one_line,
};
use prunella_notify::{Delivery, channel};
use prunella_report::{Moment, Notification, Renderer};
use prunella_store::{FoundDispatch, Store, StoreError};

use crate::{Paths, clock, notifier};

fn failed(error: StoreError) -> Refusal {
    Refusal::new(RefusalKind::Failed, error.to_string())
}

/// One message, by its id or a part of it.
pub(crate) fn find(store: &Store, id: &str) -> Answer<Dispatch> {
    let found = store.find_dispatch(id).map_err(failed)?;
    match found {
        FoundDispatch::One(dispatch) => Ok(*dispatch),
        FoundDispatch::None => Err(missing(id).into()),
        FoundDispatch::Many(ids) => Err(Refusal::new(
            RefusalKind::NotFound,
            format!("`{}` is ambiguous", one_line(id, 60)),
        )
        .help(format!("say which: {}", ids.join(", ")))
        .into()),
    }
}

/// For a message that is not there.
pub(crate) fn missing(id: &str) -> Refusal {
    Refusal::new(
        RefusalKind::NotFound,
        format!("there is no message `{}`", one_line(id, 60)),
    )
    .help("list them with `prunella alerts`")
}

/// Has a message tried again, or all that did not get through.
pub(crate) fn retry(store: &Store, id: Option<&str>) -> Answer<Retried> {
    let now = clock::now();
    let Some(id) = id else {
        return Ok(Retried {
            messages: store.retry_dispatches(None, now).map_err(failed)?,
            id: None,
            channel: None,
        });
    };
    let dispatch = find(store, id)?;
    let id = &dispatch.message.id;
    let messages = store.retry_dispatches(Some(id), now).map_err(failed)?;
    if messages == 0 {
        return Err(Refusal::new(
            RefusalKind::Conflict,
            match dispatch.state {
                DispatchState::Delivered => {
                    format!("{} has the message {id} already", dispatch.channel)
                }
                _ => format!("the message {id} is being sent right now"),
            },
        )
        .into());
    }
    Ok(Retried {
        messages,
        id: Some(id.clone()),
        channel: Some(dispatch.channel),
    })
}

/// The settings of a channel.
pub(crate) fn channel<'a>(config: &'a Config, name: &ChannelName) -> Answer<&'a ChannelSettings> {
    Ok(config.channels.get(name).ok_or_else(|| {
        let known: Vec<&str> = config.channels.keys().map(ChannelName::as_str).collect();
        let help = if known.is_empty() {
            "no channel is configured: [channel.NAME] in prunella.toml makes one".to_owned()
        } else {
            format!("there are: {}", known.join(", "))
        };
        Refusal::new(
            RefusalKind::NotFound,
            format!("there is no channel `{}`", name.as_str()),
        )
        .help(help)
    })?)
}

/// Sends a real message by a channel now.
pub(crate) fn test(paths: &Paths, settings: &ChannelSettings) -> Answer<ChannelTest> {
    let failed = |message: String| Refusal::new(RefusalKind::Failed, message);
    let name = &settings.name;
    let opened = channel::open(settings).map_err(|error| failed(error.to_string()))?;
    let message = sample(paths, name);
    let send = |message: &Message| opened.send(message, Instant::now() + settings.timeout);
    match send(&message) {
        Delivery::Delivered { detail } if settings.kind.holds_alerts() => {
            // Else somebody would have to close what nobody has to see to.
            let over = Message {
                resolved: true,
                id: format!("{}-over", message.id),
                at: clock::now(),
                ..message
            };
            match send(&over) {
                Delivery::Delivered { .. } => Ok(ChannelTest {
                    channel: name.clone(),
                    detail: format!("{detail}; the test alert is resolved again"),
                }),
                Delivery::TryAgain { reason, .. } | Delivery::Refused { reason } => {
                    let message = format!(
                        "{name} accepted the test alert, and not that it is resolved: {reason}"
                    );
                    Err(failed(message)
                        .help("resolve the test alert there by hand")
                        .into())
                }
            }
        }
        Delivery::Delivered { detail } => Ok(ChannelTest {
            channel: name.clone(),
            detail,
        }),
        Delivery::TryAgain { reason, .. } => {
            Err(failed(format!("{name} does not work right now: {reason}"))
                .help("an alert would be kept and tried again")
                .into())
        }
        Delivery::Refused { reason } => Err(failed(format!("{name} rejects it: {reason}"))
            .help("an alert would be kept as refused, and shown by `prunella alerts`")
            .into()),
    }
}

/// The message of `prunella alerts test`.
fn sample(paths: &Paths, channel: &ChannelName) -> Message {
    let now = clock::now();
    let host = notifier::hostname();
    let notification = Notification::notice(
        &format!("A test of the channel {channel}, from {host}"),
        &[
            "Somebody has asked Prunella to send this: `prunella alerts test`.",
            "Nothing has failed, and nothing has to be done. Alerts will look like this.",
        ],
        &host,
        Moment::of_host(now),
        Severity::Info,
    );
    let rendered = Renderer::new(Some(&paths.templates())).render(&notification);
    // Unlike any other: each test is a message of its own.
    let id = format!(
        "{}-{:04x}",
        IncidentId::new(now, 0).as_str().trim_end_matches("-0000"),
        std::process::id() & 0xffff
    );
    Message {
        alert_group: format!("{id}-test"),
        id: format!("{id}-{:06x}", now.as_millis() % 0xff_ffff),
        kind: AlertKind::Information,
        severity: Severity::Info,
        at: now,
        host,
        units: Vec::new(),
        incidents: Vec::new(),
        resolved: false,
        headline: rendered.subject,
        facts: notification.facts(),
        text: rendered.text,
        html: Some(rendered.html),
    }
}
