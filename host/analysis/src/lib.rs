//! Root-cause analysis: by rules always, and by a language model where the
//! operator wants one.
//!
//! The rules ([`rules`]) know the classic causes, ask nobody, and name what made
//! them think so. The model is asked on the caller's thread until a deadline,
//! with secrets (and addresses) taken out and with everything that a log line
//! could say marked as data. What it answers is checked, and is an opinion.
//!
//! | file | one line |
//! |---|---|
//! | `rules/` | evidence in, findings out |
//! | `prompt.rs` | what is asked, and the evidence between its boundaries |
//! | `model.rs` | one conversation over HTTP |
//! | `answer.rs` | the schemas, and what an answer has to be |
//! | `throttle.rs` | how often a host may ask |
//! | `key.rs` | the key, read when it is needed |
//!
//! *Must never know:* how anything is healed. It is handed evidence and hands
//! back words.

mod answer;
mod model;
mod prompt;
pub mod rules;
mod throttle;

use std::{fs, path::Path};

use prunella_core::{
    StrategyName,
    analyst::{Analyst, Evidence, ModelSettings, ProposedAct},
    diagnosis::{Finding, Opinion, SecondOpinion},
    hash::hexadecimal,
};
use prunella_redact::Hider;
use rustls::crypto::ring;

use crate::{
    answer::AnswerError,
    model::{Manner, ModelError},
    throttle::{AskOutcome, Throttle, ThrottleError},
};

/// Users of people, in `/etc/passwd`.
const PEOPLE: std::ops::Range<u32> = 1000..60_000;

/// The analyst of a host.
pub struct HostAnalyst {
    throttle: Throttle,
}

/// Why there is no opinion.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error(transparent)]
    Throttle(#[from] ThrottleError),
    #[error("there is no randomness for the boundary")]
    Boundary,
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

impl HostAnalyst {
    /// An analyst whose limits are noted in `run_folder` (`/run/prunella`).
    pub fn new(run_folder: &Path) -> Self {
        Self {
            throttle: Throttle::new(run_folder),
        }
    }

    /// Why the model is not asked for a while, and until when, in a sentence about `it`;
    /// nothing while it may be asked.
    pub fn silence(&self) -> Option<String> {
        self.throttle.silence()
    }

    /// The request that would be sent for an opinion: where to, and its body.
    /// The key is no part of it.
    ///
    /// # Errors
    /// A sentence, when there is no randomness.
    pub fn request(
        &self,
        model: &ModelSettings,
        evidence: &Evidence,
        findings: &[Finding],
        strategies: &[StrategyName],
    ) -> Result<String, String> {
        let boundary = boundary().map_err(|error| error.to_string())?;
        let mut hider = hider(model, evidence);
        let question =
            prompt::for_opinion(model, &boundary, evidence, findings, strategies, &mut hider);
        let body = model::body(model, &question, Manner::default());
        let body = serde_json::to_string_pretty(&body).unwrap_or_else(|_| body.to_string());
        Ok(format!("POST {}\n\n{body}\n", model.url))
    }

    /// Asks a question that a person put, however often the host has asked.
    ///
    /// # Errors
    /// A sentence that says why there is no opinion.
    pub fn opinion_now(
        &self,
        model: &ModelSettings,
        evidence: &Evidence,
        findings: &[Finding],
        strategies: &[StrategyName],
    ) -> Result<Opinion, String> {
        let asked = self.ask_opinion(model, evidence, findings, strategies);
        // One that answers a person may be asked again; whether one person had to wait in
        // vain is nothing that holds for the host.
        if asked.is_ok() {
            self.throttle.note(AskOutcome::Answer);
        }
        asked.map_err(|error| error.to_string())
    }

    fn ask_opinion(
        &self,
        model: &ModelSettings,
        evidence: &Evidence,
        findings: &[Finding],
        strategies: &[StrategyName],
    ) -> Result<Opinion, AskError> {
        let mut hider = hider(model, evidence);
        let question = prompt::for_opinion(
            model,
            &boundary()?,
            evidence,
            findings,
            strategies,
            &mut hider,
        );
        let content = model::ask(model, &question)?;
        let read = answer::opinion(&content, &model.model, strategies, &hider)?;
        for left_out in &read.left_out {
            tracing::warn!(
                "part of the answer of {} is left out: {left_out}",
                model.model
            );
        }
        Ok(read.answer)
    }

    fn ask_verdict(
        &self,
        model: &ModelSettings,
        act: &ProposedAct,
        evidence: &Evidence,
    ) -> Result<SecondOpinion, AskError> {
        let findings = rules::diagnose(evidence);
        let mut hider = hider(model, evidence);
        let question =
            prompt::for_verdict(model, &boundary()?, act, evidence, &findings, &mut hider);
        let content = model::ask(model, &question)?;
        Ok(answer::verdict(&content, &model.model, &hider)?)
    }

    /// Notes what came of asking.
    fn noted<T>(&self, asked: Result<T, AskError>) -> Result<T, AskError> {
        match &asked {
            Ok(_) => self.throttle.note(AskOutcome::Answer),
            Err(AskError::Model(error)) if error.is_trouble() => {
                self.throttle.note(AskOutcome::Nothing(&error.to_string()));
            }
            // Whether an answer is of use has nothing to do with the way to it.
            Err(error @ (AskError::Model(_) | AskError::Answer(_))) => {
                self.throttle.note(AskOutcome::Unusable(&error.to_string()));
            }
            // It was not asked.
            Err(AskError::Throttle(_) | AskError::Boundary) => {}
        }
        asked
    }
}

impl Analyst for HostAnalyst {
    fn diagnose(&self, evidence: &Evidence) -> Vec<Finding> {
        rules::diagnose(evidence)
    }

    fn opinion(
        &self,
        model: &ModelSettings,
        evidence: &Evidence,
        findings: &[Finding],
        strategies: &[StrategyName],
    ) -> Result<Opinion, String> {
        self.throttle
            .enter(model.per_hour)
            .map_err(AskError::from)
            .and_then(|()| self.noted(self.ask_opinion(model, evidence, findings, strategies)))
            .map_err(|error| error.to_string())
    }

    fn second_opinion(
        &self,
        model: &ModelSettings,
        act: &ProposedAct,
        evidence: &Evidence,
    ) -> Result<SecondOpinion, String> {
        self.throttle
            .enter(model.per_hour)
            .map_err(AskError::from)
            .and_then(|()| self.noted(self.ask_verdict(model, act, evidence)))
            .map_err(|error| error.to_string())
    }
}

/// Thirty-two digits that nobody can guess.
fn boundary() -> Result<String, AskError> {
    let mut bytes = [0_u8; 16];
    ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| AskError::Boundary)?;
    Ok(format!("EVIDENCE-{}", hexadecimal(&bytes)))
}

/// Knows the names of this host and of its users, unless all may be sent.
fn hider(model: &ModelSettings, evidence: &Evidence) -> Hider {
    if model.addresses {
        return Hider::nothing();
    }
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let mut hosts = vec![name.clone()];
    if let Some((short, _)) = name.split_once('.') {
        hosts.push(short.to_owned());
    }
    hosts.retain(|host| host != "localhost");
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut users: Vec<String> = passwd
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let uid: u32 = fields.nth(1)?.parse().ok()?;
            PEOPLE.contains(&uid).then(|| name.to_owned())
        })
        .collect();
    if let Some(status) = &evidence.status
        && !status.user.is_empty()
        && status.user != "root"
    {
        users.push(status.user.clone());
    }
    Hider::new(&hosts, &users)
}
