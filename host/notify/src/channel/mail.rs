//! Mail by SMTP.
//!
//! What the server says about the sender, a recipient or the text is final when
//! it is a 5xx, and tried again when it is a 4xx. Everything before that, from
//! the connection to the password, is tried again: an operator can repair it,
//! and the message waits until then.
//!
//! A recipient who was told "later" keeps nobody else from being told now. The
//! others are remembered for as long as the process lives, so that the next try is
//! for that recipient alone.

mod compose;
mod session;
mod stream;

use std::{cell::Cell, collections::VecDeque, sync::Mutex, time::Instant};

use lettre::{Address, message::Mailbox};
use prunella_config::channels::{ChannelSettings, MailSettings};

use self::session::{Outcome, Session};
use super::{ChannelError, Try, again, refused, run, time_for};
use crate::{Channel, Delivery, Message};

/// So many messages that only some recipients have are remembered.
const REMEMBERED: usize = 256;

/// Who has a message already, by channel and message. It outlives the channel,
/// which may be opened anew for each try.
static TOLD: Mutex<VecDeque<(String, Vec<Address>)>> = Mutex::new(VecDeque::new());

/// One mail channel.
pub(super) struct Mail {
    settings: ChannelSettings,
    mail: MailSettings,
    from: Mailbox,
    to: Vec<Mailbox>,
    reply_to: Option<Mailbox>,
}

impl Mail {
    pub(super) fn open(
        settings: &ChannelSettings,
        mail: &MailSettings,
    ) -> Result<Self, ChannelError> {
        let mailbox = |text: &String| {
            text.parse::<Mailbox>()
                .map_err(|source| ChannelError::Address {
                    channel: settings.name.to_string(),
                    address: text.clone(),
                    source,
                })
        };
        Ok(Self {
            settings: settings.clone(),
            mail: mail.clone(),
            from: mailbox(&mail.from)?,
            to: mail.to.iter().map(mailbox).collect::<Result<_, _>>()?,
            reply_to: mail.reply_to.as_ref().map(mailbox).transpose()?,
        })
    }

    async fn attempt(&self, message: &Message, stage: &Cell<&'static str>) -> Try {
        let mail = compose::compose(message, &self.from, &self.to, self.reply_to.as_ref())
            .map_err(|error| refused(format!("the mail cannot be written: {error}")))?;
        let told = self.told(message);
        let to: Vec<Address> = self
            .to
            .iter()
            .map(|mailbox| mailbox.email.clone())
            .filter(|address| !told.contains(address))
            .collect();
        let session = Session {
            mail: &self.mail,
            ca_file: self.settings.ca_file.as_deref(),
            hello: &message.host,
            stage,
        };
        let outcome = session.send(&self.from.email, &to, &mail).await?;
        self.judge(message, told, outcome)
    }

    fn judge(&self, message: &Message, mut told: Vec<Address>, outcome: Outcome) -> Try {
        let Outcome {
            said,
            took,
            later,
            never,
        } = outcome;
        let host = &self.mail.host;
        let list = |what: &str, who: &[(Address, String)]| {
            let who: Vec<String> = who
                .iter()
                .map(|(address, said)| format!("{address} ({said})"))
                .collect();
            format!("{what} {}", who.join(", "))
        };
        let mut parts = Vec::new();
        if !never.is_empty() {
            parts.push(list("refused for", &never));
        }
        if !later.is_empty() {
            parts.push(list("not now for", &later));
        }
        told.extend(took);
        if !later.is_empty() {
            if !told.is_empty() {
                let names: Vec<&str> = told.iter().map(AsRef::as_ref).collect();
                parts.push(format!("taken for {}", names.join(", ")));
                self.remember(message, Some(told));
            }
            return Err(again(format!("{host}: {}", parts.join("; "))));
        }
        // What follows is final.
        self.remember(message, None);
        if told.is_empty() {
            return Err(refused(format!("{host}: {}", parts.join("; "))));
        }
        parts.insert(0, said.unwrap_or_else(|| "taken before".to_owned()));
        Ok(format!("{host}: {}", parts.join("; ")))
    }

    fn key(&self, message: &Message) -> String {
        format!("{} {}", self.settings.name, message.id)
    }

    fn told(&self, message: &Message) -> Vec<Address> {
        let key = self.key(message);
        let Ok(told) = TOLD.lock() else {
            return Vec::new();
        };
        told.iter()
            .find(|(known, _)| *known == key)
            .map(|(_, who)| who.clone())
            .unwrap_or_default()
    }

    /// Remembers who has a message, or forgets it.
    fn remember(&self, message: &Message, who: Option<Vec<Address>>) {
        let key = self.key(message);
        let Ok(mut told) = TOLD.lock() else {
            return;
        };
        told.retain(|(known, _)| *known != key);
        told.extend(who.map(|who| (key, who)));
        if told.len() > REMEMBERED {
            told.pop_front();
        }
    }
}

impl Channel for Mail {
    fn send(&self, message: &Message, deadline: Instant) -> Delivery {
        let Some(time) = time_for(&self.settings, deadline) else {
            return again("there was no time left to try");
        };
        let stage = Cell::new("looking up its address");
        run(time, self.attempt(message, &stage), || {
            format!(
                "{} took longer than {time:.0?} ({})",
                self.mail.host,
                stage.get()
            )
        })
    }
}
