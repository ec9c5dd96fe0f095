//! What strategies, rules and models said, made fit to be shown.

use super::{Advice, Explanation, Mark, StrategyOpinion, words::clean};
use prunella_core::{
    Failure, StrategyName,
    diagnosis::{self, Finding, Source},
    incident::{Assessment, Outcome},
    text::capital,
};

/// What a strategy thought.
pub(super) fn opinion(strategy: &StrategyName, assessment: &Assessment) -> StrategyOpinion {
    let (says, confidence, reason) = match assessment {
        Assessment::Applies { confidence, reason } => ("applies", Some(*confidence), clean(reason)),
        Assessment::NotApplicable { reason } => ("not-applicable", None, clean(reason)),
        Assessment::BlockedBy { unit, reason } => ("blocked-by", None, blocked_by(unit, reason)),
        Assessment::Veto { reason } => ("veto", None, clean(reason)),
    };
    let words = match says {
        "applies" => "applies",
        "not-applicable" => "does not apply",
        "blocked-by" => "blocked",
        _ => "vetoes any action",
    };
    StrategyOpinion {
        strategy: strategy.clone(),
        says: says.to_owned(),
        words: confidence.map_or_else(
            || words.to_owned(),
            |sure| format!("{words} ({sure} % confidence)"),
        ),
        confidence,
        reason,
    }
}

/// Which unit comes first, and why.
fn blocked_by(unit: &str, reason: &str) -> String {
    let (unit, reason) = (clean(unit), clean(reason));
    if reason.contains(&unit) {
        reason
    } else {
        format!("{unit}: {reason}")
    }
}

/// What came of a strategy's healing, by its own word.
pub(super) fn returned(outcome: &Result<Outcome, Failure>) -> (Mark, String) {
    match outcome {
        // A strategy's word is not evidence: that is what proof is for.
        Ok(Outcome::Healed { summary }) => (Mark::Plain, format!("done: {}", clean(summary))),
        Ok(Outcome::NotApplicable { reason }) => {
            (Mark::Plain, format!("does not apply: {}", clean(reason)))
        }
        Ok(Outcome::Failed { reason }) => (Mark::Bad, format!("failed: {}", clean(reason))),
        Ok(Outcome::BlockedBy { unit, reason }) => (
            Mark::Plain,
            format!("blocked by {}: {}", clean(unit), clean(reason)),
        ),
        Err(failure) => (Mark::Bad, format!("failed: {}", clean(&failure.message))),
    }
}

impl From<&Finding> for Explanation {
    fn from(finding: &Finding) -> Self {
        Self {
            sentence: finding.sentence.clone(),
            because: Some(finding.because.clone()),
            from: match finding.from {
                Source::Log => "log",
                Source::Unit => "unit",
                Source::Process => "process",
                Source::Resources => "resources",
                Source::Change => "change",
            }
            .to_owned(),
            advice: finding.advice.clone(),
            cause: Some(finding.cause),
        }
    }
}

/// What explains a failure, the surest first: a strategy that held everything back has
/// looked for itself; the rules go by what there is to read. Where both have seen the
/// same thing on the host, the rules' sentence leads: it is short.
pub(super) fn explanations(opinions: &[StrategyOpinion], findings: &[Finding]) -> Vec<Explanation> {
    let explaining: Vec<&StrategyOpinion> = opinions
        .iter()
        .filter(|opinion| opinion.explains())
        .collect();
    let (seen, others): (Vec<&Finding>, Vec<&Finding>) = findings.iter().partition(|finding| {
        finding.from != Source::Log
            && explaining
                .iter()
                .any(|opinion| finder_of(finding.cause) == Some(opinion.strategy.as_str()))
    });
    let by_strategies = explaining.into_iter().map(|opinion| Explanation {
        sentence: opinion.reason.clone(),
        because: None,
        from: opinion.strategy.to_string(),
        advice: None,
        cause: None,
    });
    seen.into_iter()
        .map(Explanation::from)
        .chain(by_strategies)
        .chain(others.into_iter().map(Explanation::from))
        .collect()
}

/// Those of which no other before them tells: a strategy and the rules that name the same path
/// have found the same thing.
pub(super) fn each_once(explanations: Vec<Explanation>) -> Vec<Explanation> {
    let mut told: Vec<Explanation> = Vec::new();
    for one in explanations {
        let paths: Vec<&str> = one
            .sentence
            .split_whitespace()
            .filter(|word| word.starts_with('/'))
            .collect();
        let is_told = !paths.is_empty()
            && told.iter().any(|before| {
                before.because.is_some() != one.because.is_some()
                    && paths.iter().all(|path| before.sentence.contains(path))
            });
        if !is_told {
            told.push(one);
        }
    }
    told
}

/// The built-in strategy that looks for the same thing.
fn finder_of(cause: diagnosis::Cause) -> Option<&'static str> {
    match cause {
        diagnosis::Cause::AddressInUse => Some("port-conflict"),
        diagnosis::Cause::MissingFile => Some("environment-check"),
        diagnosis::Cause::DependencyRefused => Some("database-check"),
        _ => None,
    }
}

impl StrategyOpinion {
    /// Whether it says why nothing may be done before something else is.
    fn explains(&self) -> bool {
        matches!(self.says.as_str(), "veto" | "blocked-by")
    }

    /// Where it stands among others: first what has consequences.
    pub(super) fn rank(&self) -> u8 {
        match self.says.as_str() {
            "veto" | "blocked-by" => 0,
            "broke-off" => 1,
            "applies" => 2,
            _ => 3,
        }
    }
}

/// What the rules found.
pub(super) fn cleaned(finding: &Finding) -> Finding {
    Finding {
        cause: finding.cause,
        sentence: clean(&finding.sentence),
        because: clean(&finding.because),
        from: finding.from,
        advice: finding.advice.as_deref().map(clean),
        manual_steps: finding.manual_steps.clone(),
    }
}

/// What a model said is somebody else's text, whoever checked its form.
pub(super) fn advice(model: &str, opinion: &Result<diagnosis::Opinion, String>) -> Advice {
    let (opinion, why_none) = match opinion {
        Ok(opinion) => (
            Some(diagnosis::Opinion {
                model: clean(&opinion.model),
                cause: capital(&clean(&opinion.cause)),
                explanation: clean(&opinion.explanation),
                confidence: opinion.confidence,
                suggestions: opinion.suggestions.iter().map(|s| clean(s)).collect(),
                order: opinion.order.clone(),
            }),
            None,
        ),
        Err(why) => (None, Some(clean(why))),
    };
    Advice {
        model: clean(model),
        opinion,
        why_none,
    }
}
