//! Asks a model's server, over HTTP: OpenAI's chat completions, or Ollama's own.
//!
//! No redirect is followed and no proxy of the environment used: what is sent
//! goes to whom the operator named, and to nobody else. So much of an answer is
//! read and no more, until the deadline and no longer.

use std::{sync::Arc, time::Duration};

use prunella_core::{
    analyst::{ModelProtocol, ModelSettings},
    secret::Secret,
    text::{REDACTED, one_line, redact},
};
use prunella_net::{
    names::Resolver,
    secret::{self, SecretError},
    tls::{self, TlsError},
};
use reqwest::{Client, Response, StatusCode, redirect::Policy};
use serde_json::{Value, json};

use crate::prompt::Prompt;

/// So much of an answer is read. What is asked for is a hundredth of it.
const ANSWER_MAX: usize = 256 << 10;

/// Until the connection is there.
const CONNECT: Duration = Duration::from_secs(5);

/// Characters of what a server says when it refuses.
const SAID_MAX: usize = 200;

/// Why there is no answer: sentences about the model.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModelError {
    #[error("its key cannot be used: {0}")]
    Key(#[from] SecretError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("it cannot be asked: {0}")]
    Setup(String),
    #[error("it could not be reached: {0}")]
    Unreachable(String),
    #[error("it did not answer within {0:.1?}")]
    Timeout(Duration),
    #[error("its server sends on to another place (HTTP {0}), where Prunella does not go")]
    Redirect(u16),
    #[error("its server refused with HTTP {code}: {said}")]
    Refused { code: u16, said: String },
    #[error("its answer is larger than {} KiB", ANSWER_MAX >> 10)]
    TooLarge,
    #[error("its server streams, though it was asked not to")]
    Streams,
    #[error("its server's answer is not that of the protocol: {0}")]
    Odd(String),
    #[error("it declined: {0}")]
    Declined(String),
    #[error("its answer was cut off at {0} tokens (`max-tokens`)")]
    CutOff(u32),
}

impl ModelError {
    /// Whether the server is not to be bothered for a while.
    pub(crate) fn is_trouble(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Timeout(_) | Self::Redirect(_) | Self::Streams => true,
            Self::Refused { code, .. } => matches!(code, 401 | 403 | 404 | 429 | 500..),
            _ => false,
        }
    }
}

/// How a request is put; a server that does not know one way may know another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// Whether the answer's schema goes along, or only that it be JSON.
    schema: bool,
    /// OpenAI's newer models want another word for the limit.
    completion_tokens: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            schema: true,
            completion_tokens: false,
        }
    }
}

/// Asks, and returns what the model wrote. Never takes longer than the model's
/// timeout.
pub(crate) fn ask(model: &ModelSettings, question: &Prompt) -> Result<String, ModelError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ModelError::Setup(error.to_string()))?;
    let answer = runtime.block_on(async {
        match tokio::time::timeout(model.timeout, converse(model, question)).await {
            Ok(answer) => answer,
            Err(_) => Err(ModelError::Timeout(model.timeout)),
        }
    });
    // A name being resolved is not waited for.
    runtime.shutdown_background();
    answer
}

async fn converse(model: &ModelSettings, question: &Prompt) -> Result<String, ModelError> {
    let key = model.key.as_ref().map(secret::read_key).transpose()?;
    let client = client(model)?;
    let mut manner = Manner::default();
    loop {
        let request = body(model, question, manner);
        match post(&client, model, key.as_ref(), &request).await {
            Ok(answer) => return content(model, &answer),
            // Not the same again: what it did not understand is put otherwise,
            // once each.
            Err(ModelError::Refused {
                code: 400 | 422,
                said,
            }) => {
                let tokens = said.contains("max_completion_tokens");
                if tokens && !manner.completion_tokens {
                    manner.completion_tokens = true;
                } else if manner.schema {
                    manner.schema = false;
                } else {
                    return Err(ModelError::Refused { code: 400, said });
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// The request, without the key.
pub(crate) fn body(model: &ModelSettings, question: &Prompt, manner: Manner) -> Value {
    let messages = json!([
        { "role": "system", "content": question.system },
        { "role": "user", "content": question.user },
    ]);
    match model.protocol {
        ModelProtocol::OpenAi => {
            let format = if manner.schema {
                json!({
                    "type": "json_schema",
                    "json_schema": {
                        "name": question.name,
                        "strict": true,
                        "schema": question.schema,
                    }
                })
            } else {
                json!({ "type": "json_object" })
            };
            let limit = if manner.completion_tokens {
                "max_completion_tokens"
            } else {
                "max_tokens"
            };
            json!({
                "model": model.model,
                "messages": messages,
                "stream": false,
                limit: model.max_tokens,
                "response_format": format,
            })
        }
        ModelProtocol::Ollama => json!({
            "model": model.model,
            "messages": messages,
            "stream": false,
            "format": if manner.schema { question.schema.clone() } else { json!("json") },
            "options": { "num_predict": model.max_tokens, "temperature": 0 },
        }),
    }
}

fn client(model: &ModelSettings) -> Result<Client, ModelError> {
    let tls = if model.ca_file.is_none() && model.url.starts_with("http://") {
        tls::trusting_nobody()
    } else {
        tls::config(model.ca_file.as_deref())
    };
    Client::builder()
        .tls_backend_preconfigured(tls?)
        .dns_resolver(Arc::new(Resolver))
        .redirect(Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT)
        .pool_max_idle_per_host(0)
        .user_agent(concat!("prunella/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ModelError::Setup(error.to_string()))
}

async fn post(
    client: &Client,
    model: &ModelSettings,
    key: Option<&Secret>,
    body: &Value,
) -> Result<String, ModelError> {
    let mut request = client
        .post(&model.url)
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .body(body.to_string());
    if let Some(key) = key {
        request = request.bearer_auth(key.reveal());
    }
    let response = request
        .send()
        .await
        .map_err(|error| ModelError::Unreachable(reason(&error)))?;
    let status = response.status();
    if status.is_redirection() {
        return Err(ModelError::Redirect(status.as_u16()));
    }
    let streams = response
        .headers()
        .get("content-type")
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| {
            kind.starts_with("text/event-stream") || kind.starts_with("application/x-ndjson")
        });
    if streams && status.is_success() {
        return Err(ModelError::Streams);
    }
    let text = read(response).await;
    if status == StatusCode::OK {
        return text;
    }
    // What it says of the refusal may repeat the key.
    let mut said = text.unwrap_or_default();
    if let Some(key) = key {
        said = said.replace(key.reveal(), REDACTED);
    }
    let said = serde_json::from_str::<Value>(&said)
        .ok()
        .and_then(|value| {
            let error = value.get("error")?;
            let message = error.get("message").unwrap_or(error);
            message.as_str().map(str::to_owned)
        })
        .unwrap_or(said);
    Err(ModelError::Refused {
        code: status.as_u16(),
        said: one_line(&redact(said.trim()), SAID_MAX),
    })
}

async fn read(mut response: Response) -> Result<String, ModelError> {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > ANSWER_MAX => {
                return Err(ModelError::TooLarge);
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => return Err(ModelError::Unreachable(reason(&error))),
        }
    }
    String::from_utf8(bytes).map_err(|_| ModelError::Odd("it is not UTF-8".to_owned()))
}

/// The innermost cause, which is the one that says something.
fn reason(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    one_line(&redact(&innermost.to_string()), SAID_MAX)
}

/// What the model wrote, in a server's answer.
fn content(model: &ModelSettings, answer: &str) -> Result<String, ModelError> {
    let trimmed = answer.trim_start();
    if trimmed.starts_with("data:") {
        return Err(ModelError::Streams);
    }
    let answer: Value = serde_json::from_str(trimmed).map_err(|error| {
        let lines = trimmed.lines().filter(|line| !line.trim().is_empty());
        let each = |line: &str| serde_json::from_str::<Value>(line).is_ok();
        if lines.clone().count() > 1 && lines.clone().all(each) {
            ModelError::Streams
        } else {
            ModelError::Odd(one_line(&error.to_string(), SAID_MAX))
        }
    })?;
    let (message, ended) = match model.protocol {
        ModelProtocol::OpenAi => (
            answer.pointer("/choices/0/message"),
            answer.pointer("/choices/0/finish_reason"),
        ),
        ModelProtocol::Ollama => (answer.get("message"), answer.get("done_reason")),
    };
    if ended.and_then(Value::as_str) == Some("length") {
        return Err(ModelError::CutOff(model.max_tokens));
    }
    let message = message.ok_or_else(|| ModelError::Odd("there is no message in it".to_owned()))?;
    if let Some(refusal) = message.get("refusal").and_then(Value::as_str)
        && !refusal.is_empty()
    {
        return Err(ModelError::Declined(one_line(&redact(refusal), SAID_MAX)));
    }
    message
        .get("content")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| ModelError::Odd("there is no text in its message".to_owned()))
}
