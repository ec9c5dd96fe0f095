//! Trouble that is no incident: what keeps Prunella itself from its work.

use std::collections::BTreeSet;

use prunella_config::Config;
use prunella_core::{
    ChannelName, Timestamp, UnitName,
    alert::{AlertKind, Message, Severity},
};
use prunella_report::{Moment, Notification, StatusColour};
use prunella_store::{Notice, NoticeChange, StoreError};

use super::{Notifier, Shared, wall_clock};

/// The name of the matter in the store.
const CONFIGURATION: &str = "configuration";

/// The unit by which routes find who hears of Prunella's own trouble.
const OWN_UNIT: &str = "prunella.service";

impl Notifier {
    /// Tells people what of the configuration is not in force, a sentence each that begins
    /// with the file and a colon: once, again when it changes, and once when nothing is
    /// left of it.
    ///
    /// # Errors
    /// When the store does not take the messages.
    pub fn config_problems(&self, problems: &[String]) -> Result<(), StoreError> {
        if self.shared.tell_problems(problems)? {
            self.wake();
        }
        Ok(())
    }
}

impl Shared {
    /// Whether there is anything to send.
    fn tell_problems(&self, problems: &[String]) -> Result<bool, StoreError> {
        let store = &self.settings.store;
        let config = (self.settings.config)();
        let at = wall_clock();
        let before = store.notice(CONFIGURATION)?;
        let text = problems.join("\n");
        if before
            .as_ref()
            .map_or(problems.is_empty(), |told| told.text == text)
        {
            return Ok(false);
        }
        let mut notice = Notice {
            text,
            alert_group: match &before {
                Some(told) => told.alert_group.clone(),
                None => store.new_name(at)?,
            },
            channels: before
                .as_ref()
                .map(|told| told.channels.clone())
                .unwrap_or_default(),
        };
        let is_over = problems.is_empty();
        if !is_over {
            notice.channels.extend(channels(&config));
        }
        notice
            .channels
            .retain(|channel| config.channels.contains_key(channel));
        let message = self.notice_message(problems, config.held.is_some(), &notice, at);
        let mut dispatches = Vec::new();
        for channel in &notice.channels {
            let message = Message {
                id: store.new_name(at)?,
                ..message.clone()
            };
            dispatches.push((channel.clone(), message));
        }
        store.change_notice(&NoticeChange {
            key: CONFIGURATION,
            before: before.as_ref(),
            now: (!is_over).then_some(&notice),
            dispatches: &dispatches,
            at,
        })
    }

    fn notice_message(
        &self,
        problems: &[String],
        heals_nothing: bool,
        notice: &Notice,
        at: Timestamp,
    ) -> Message {
        let host = &self.settings.hostname;
        let is_over = problems.is_empty();
        let severity = match (is_over, heals_nothing) {
            (true, _) => Severity::Info,
            (false, true) => Severity::Critical,
            (false, false) => Severity::Warning,
        };
        let headline = match problems {
            [] => "Prunella's configuration is in force again".to_owned(),
            [first, ..] if heals_nothing => format!(
                "Prunella heals nothing: mistake in {}",
                first.split(':').next().unwrap_or_default()
            ),
            // A subject has room for the file; what is wrong with it follows.
            [one] => format!(
                "Mistake in {}: it is not in force",
                one.split(':').next().unwrap_or_default()
            ),
            many => format!("{} mistakes in Prunella's configuration", many.len()),
        };
        let mut intro: Vec<&str> = problems.iter().map(String::as_str).collect();
        intro.push(if is_over {
            "This ends what was reported before. Nothing is left to do."
        } else {
            "`prunella config check` shows each mistake with its place. Correct them, then run \
             `sudo prunella reload`."
        });
        let mut notification =
            Notification::notice(&headline, &intro, host, Moment::of_host(at), severity);
        if is_over {
            notification.kind = AlertKind::Recovery;
            notification.status_colour = StatusColour::Green;
            "resolved".clone_into(&mut notification.outcome);
        } else {
            notification.kind = AlertKind::Escalation;
            notification.status_colour = StatusColour::Red;
            "needs a person".clone_into(&mut notification.outcome);
        }
        let rendered = self.settings.renderer.render(&notification);
        for warning in &rendered.warnings {
            tracing::warn!("a template is left aside for the built-in one: {warning}");
        }
        Message {
            id: String::new(),
            kind: notification.kind,
            severity,
            at,
            host: host.clone(),
            units: Vec::new(),
            incidents: Vec::new(),
            alert_group: notice.alert_group.clone(),
            resolved: is_over,
            headline: rendered.subject,
            facts: notification.facts(),
            text: rendered.text,
            html: Some(rendered.html),
        }
    }
}

/// Who hears that a person is needed for Prunella itself.
fn channels(config: &Config) -> BTreeSet<ChannelName> {
    let Ok(unit) = UnitName::new(OWN_UNIT) else {
        return BTreeSet::new();
    };
    config
        .alerts
        .channels(AlertKind::Escalation, Severity::Warning, &unit, None)
        .iter()
        .cloned()
        .collect()
}
