//! Every channel that is one POST of JSON: where to, with what, and who says so.

use std::time::Instant;

use super::{
    Try, again, alertmanager, delivery, discord,
    http::{self, Request, Transport},
    ntfy, pagerduty, signature, slack, teams, time_for, webhook,
};
use crate::{Channel, Delivery, Message};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use prunella_config::channels::{Authorization, ChannelKind, ChannelSettings, Value, check_url};
use prunella_core::secret::{Secret, SecretSource};
use prunella_net::secret;

/// One channel that speaks HTTP.
pub(super) struct Hook {
    settings: ChannelSettings,
}

impl Hook {
    pub(super) fn new(settings: &ChannelSettings) -> Self {
        Self {
            settings: settings.clone(),
        }
    }

    /// Reads what is needed, and writes what is to be sent.
    fn request(&self, message: &Message) -> Result<Request, Delivery> {
        match &self.settings.kind {
            ChannelKind::Slack { url } => self.post_secretly(url, &slack::body(message)),
            ChannelKind::Discord { url } => {
                let mut request = self.post_secretly(url, &discord::body(message))?;
                // Only then does the answer say whether the message was kept.
                request.url.query_pairs_mut().append_pair("wait", "true");
                Ok(request)
            }
            ChannelKind::Teams { url } => self.post_secretly(url, &teams::body(message)),
            ChannelKind::PagerDuty { url, routing_key } => {
                let key = read(routing_key)?;
                let request = self.post(url, &pagerduty::body(message, &key))?;
                Ok(request.hiding(key))
            }
            ChannelKind::Ntfy { url, topic, token } => {
                let topic = match topic {
                    Value::Plain(topic) => (topic.clone(), None),
                    Value::Secret(source) => {
                        let topic = read(source)?;
                        (topic.reveal().to_owned(), Some(topic))
                    }
                };
                let mut request = self.post(url, &ntfy::body(message, &topic.0))?;
                if let Some(topic) = topic.1 {
                    request = request.hiding(topic);
                }
                match token {
                    Some(token) => Ok(request.bearer(read(token)?)),
                    None => Ok(request),
                }
            }
            ChannelKind::Alertmanager {
                url,
                authorization,
                labels,
                ends_after,
            } => {
                let body = alertmanager::body(message, labels, *ends_after);
                let mut request = self.post(url, &body)?;
                if let Ok(mut path) = request.url.path_segments_mut() {
                    path.pop_if_empty().extend(["api", "v2", "alerts"]);
                }
                match authorization {
                    Some(Authorization::Token(token)) => Ok(request.bearer(read(token)?)),
                    Some(Authorization::Password(login)) => {
                        let password = read(&login.password)?;
                        let both = format!("{}:{}", login.user, password.reveal());
                        let header = format!("Basic {}", STANDARD.encode(both));
                        Ok(request.hiding(password).authorized(header))
                    }
                    None => Ok(request),
                }
            }
            ChannelKind::Webhook { url, secret } => {
                let mut request = match url {
                    Value::Plain(url) => self.post(url, &webhook::body(message))?,
                    Value::Secret(source) => self.post_secretly(source, &webhook::body(message))?,
                };
                let key = secret::read_lines(secret).map_err(|error| again(error.to_string()))?;
                // The time of this try: a receiver refuses what is old.
                let now = jiff::Timestamp::now().as_second();
                let signature = signature::sign(&key, &message.id, now, &request.body)
                    .map_err(|error| again(format!("{secret}: {error}")))?;
                request.headers.extend([
                    ("webhook-id", message.id.clone()),
                    ("webhook-timestamp", now.to_string()),
                    ("webhook-signature", signature),
                ]);
                Ok(request.hiding(key))
            }
            ChannelKind::Mail(_) => Err(again("mail is not sent by HTTP")),
        }
    }

    /// To a URL that may be known.
    fn post(&self, url: &str, body: &serde_json::Value) -> Result<Request, Delivery> {
        let url = check_url(url, self.settings.http.allow_http)
            .map_err(|error| again(format!("the URL of this channel cannot be used: {error}")))?;
        Ok(Request::new(url, body.to_string().into_bytes()))
    }

    /// To one that may not.
    fn post_secretly(
        &self,
        source: &SecretSource,
        body: &serde_json::Value,
    ) -> Result<Request, Delivery> {
        let url = check_url(read(source)?.reveal(), self.settings.http.allow_http)
            .map_err(|error| again(format!("the URL in {source} cannot be used: {error}")))?;
        Ok(Request::new(url, body.to_string().into_bytes()).hiding_url())
    }

    fn attempt(&self, message: &Message, deadline: Instant) -> Try {
        let Some(time) = time_for(&self.settings, deadline) else {
            return Err(again("there was no time left to try"));
        };
        let request = self.request(message)?;
        let transport = Transport {
            proxy: self.settings.http.proxy.as_deref(),
            ca_file: self.settings.ca_file.as_deref(),
        };
        match http::post(transport, &request, time) {
            Delivery::Delivered { detail } => Ok(detail),
            failed => Err(failed),
        }
    }
}

/// A secret that cannot be read is somebody's to repair.
fn read(source: &SecretSource) -> Result<Secret, Delivery> {
    secret::read(source).map_err(|error| again(error.to_string()))
}

impl Channel for Hook {
    fn send(&self, message: &Message, deadline: Instant) -> Delivery {
        delivery(self.attempt(message, deadline))
    }
}
