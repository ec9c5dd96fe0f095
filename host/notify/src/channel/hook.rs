//! Every channel that is one POST of JSON: where to, with what, and who says so.

use std::time::Instant;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prunella_core::{
    config::channels::{Authorization, ChannelKind, ChannelSettings, Value, check_url},
    secret::{Secret, SecretSource},
};
use url::Url;

use super::{
    Try, again, alertmanager, delivery, discord,
    http::{self, Request},
    ntfy, pagerduty, secret, signature, slack, teams, time_for, webhook,
};
use crate::{Channel, Delivery, Message};

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
            ChannelKind::Slack { url } => {
                Ok(self.post(self.secret_url(url)?, &slack::body(message)))
            }
            ChannelKind::Discord { url } => {
                let mut request = self.post(self.secret_url(url)?, &discord::body(message));
                // Only then does the answer say whether the message was kept.
                request.url.query_pairs_mut().append_pair("wait", "true");
                Ok(request)
            }
            ChannelKind::Teams { url } => {
                Ok(self.post(self.secret_url(url)?, &teams::body(message)))
            }
            ChannelKind::PagerDuty { url, routing_key } => {
                let key = read(routing_key)?;
                let request = self.post(self.url(url)?, &pagerduty::body(message, &key));
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
                let mut request = self.post(self.url(url)?, &ntfy::body(message, &topic.0));
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
                let mut url = self.url(url)?;
                if let Ok(mut path) = url.path_segments_mut() {
                    path.pop_if_empty().extend(["api", "v2", "alerts"]);
                }
                let request = self.post(url, &body);
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
                    Value::Plain(url) => self.post(self.url(url)?, &webhook::body(message)),
                    Value::Secret(source) => {
                        self.post(self.secret_url(source)?, &webhook::body(message))
                    }
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

    fn post(&self, url: Url, body: &serde_json::Value) -> Request {
        Request::new(url, body.to_string().into_bytes())
    }

    /// A URL that may be known.
    fn url(&self, url: &str) -> Result<Url, Delivery> {
        check_url(url, self.settings.http.allow_http)
            .map_err(|error| again(format!("the URL of this channel cannot be used: {error}")))
    }

    /// A URL that may not.
    fn secret_url(&self, source: &SecretSource) -> Result<Url, Delivery> {
        check_url(read(source)?.reveal(), self.settings.http.allow_http)
            .map_err(|error| again(format!("the URL in {source} cannot be used: {error}")))
    }

    fn attempt(&self, message: &Message, deadline: Instant) -> Try {
        let Some(time) = time_for(&self.settings, deadline) else {
            return Err(again("there was no time left to try"));
        };
        let request = self.request(message)?;
        match http::post(&self.settings, &request, time) {
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
