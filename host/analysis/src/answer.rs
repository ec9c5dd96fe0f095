//! What a model answered, checked: the shape is right or there is no answer,
//! texts are cut and made fit to show, and a strategy that was not offered is
//! not there.

use prunella_core::{
    StrategyName,
    diagnosis::{Opinion, SecondOpinion, SecondOpinionVerdict},
    text::{one_line, redact},
};
use prunella_redact::Hider;
use serde::Deserialize;
use serde_json::{Value, json};

const CAUSE_MAX: usize = 200;
const EXPLANATION_MAX: usize = 1_000;
const SUGGESTION_MAX: usize = 300;
const SUGGESTIONS_MAX: usize = 5;

/// The shape of an answer was not what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// Not JSON, or of another shape.
    #[error("its answer has not the shape that was asked for: {0}")]
    Shape(String),
    /// A text that has to be there is empty.
    #[error("its answer is empty")]
    Empty,
    /// More than a hundred percent.
    #[error("its answer has a confidence of {0}, which is not from 0 to 100")]
    Confidence(i64),
}

/// The JSON Schema of an opinion, in the part of the language that every server
/// knows.
pub(crate) fn opinion_schema(strategies: &[StrategyName]) -> Value {
    let names: Vec<&str> = strategies.iter().map(StrategyName::as_str).collect();
    let mut item = json!({ "type": "string" });
    // An empty enum is no valid schema.
    if !names.is_empty()
        && let Some(item) = item.as_object_mut()
    {
        item.insert("enum".to_owned(), json!(names));
    }
    json!({
        "type": "object",
        "properties": {
            "cause": { "type": "string", "description": "the root cause, in one sentence" },
            "explanation": { "type": "string", "description": "why, naming the evidence" },
            "confidence": { "type": "integer", "description": "0 to 100" },
            "suggestions": {
                "type": "array",
                "items": { "type": "string" },
                "description": "what a person should look at or do, the most useful first"
            },
            "order": {
                "type": "array",
                "items": item,
                "description": "the strategies, in the order in which to try them"
            }
        },
        "required": ["cause", "explanation", "confidence", "suggestions", "order"],
        "additionalProperties": false
    })
}

/// The JSON Schema of a second opinion.
pub(crate) fn verdict_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "verdict": { "type": "string", "enum": ["allow", "veto"] },
            "reason": { "type": "string", "description": "why, in one or two sentences" }
        },
        "required": ["verdict", "reason"],
        "additionalProperties": false
    })
}

#[derive(Deserialize)]
struct RawOpinion {
    cause: String,
    explanation: String,
    confidence: Option<i64>,
    #[serde(default)]
    suggestions: Vec<String>,
    #[serde(default)]
    order: Vec<String>,
}

#[derive(Deserialize)]
struct RawVerdict {
    verdict: SecondOpinionVerdict,
    reason: String,
}

/// An opinion, of which only `strategies` are in the order.
pub(crate) fn opinion(
    content: &str,
    model: &str,
    strategies: &[StrategyName],
    hider: &Hider,
) -> Result<Opinion, AnswerError> {
    let raw: RawOpinion = parse(content)?;
    let confidence = raw
        .confidence
        .map(|confidence| {
            u8::try_from(confidence)
                .ok()
                .filter(|confidence| *confidence <= 100)
                .ok_or(AnswerError::Confidence(confidence))
        })
        .transpose()?;
    let mut order: Vec<StrategyName> = Vec::new();
    for name in &raw.order {
        if let Some(known) = strategies.iter().find(|known| known.as_str() == name)
            && !order.contains(known)
        {
            order.push(known.clone());
        }
    }
    let cause = shown(&raw.cause, CAUSE_MAX, hider);
    let explanation = shown(&raw.explanation, EXPLANATION_MAX, hider);
    if cause.is_empty() {
        return Err(AnswerError::Empty);
    }
    Ok(Opinion {
        model: model.to_owned(),
        cause,
        explanation,
        confidence,
        suggestions: raw
            .suggestions
            .iter()
            .map(|suggestion| shown(suggestion, SUGGESTION_MAX, hider))
            .filter(|suggestion| !suggestion.is_empty())
            .take(SUGGESTIONS_MAX)
            .collect(),
        order,
    })
}

/// A verdict on an act.
pub(crate) fn verdict(
    content: &str,
    model: &str,
    hider: &Hider,
) -> Result<SecondOpinion, AnswerError> {
    let raw: RawVerdict = parse(content)?;
    let reason = shown(&raw.reason, EXPLANATION_MAX, hider);
    // A verdict without a reason is worth nothing.
    if reason.is_empty() {
        return Err(AnswerError::Empty);
    }
    Ok(SecondOpinion {
        model: model.to_owned(),
        verdict: raw.verdict,
        reason,
    })
}

fn parse<'a, T: Deserialize<'a>>(content: &'a str) -> Result<T, AnswerError> {
    // Models without a schema like to wrap JSON as one does in Markdown.
    let content = content.trim();
    let content = content
        .strip_prefix("```json")
        .or_else(|| content.strip_prefix("```"))
        .and_then(|content| content.strip_suffix("```"))
        .unwrap_or(content);
    serde_json::from_str(content)
        .map_err(|error| AnswerError::Shape(one_line(&error.to_string(), 200)))
}

/// Fit to show, with what was hidden in its place again.
fn shown(text: &str, max: usize, hider: &Hider) -> String {
    let plain: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    one_line(&redact(&hider.show(&plain)), max)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn names(names: &[&str]) -> Vec<StrategyName> {
        names
            .iter()
            .map(|name| StrategyName::new(*name).unwrap())
            .collect()
    }

    fn read(content: &str) -> Result<Opinion, AnswerError> {
        opinion(
            content,
            "llama",
            &names(&["port-conflict", "service-restart"]),
            &Hider::nothing(),
        )
    }

    #[test]
    fn an_opinion() {
        let opinion = read(
            r#"{"cause":"port 80 is taken","explanation":"nginx says so\nin line 3","confidence":90,
                "suggestions":["look at ss -ltnp",""],"order":["port-conflict","service-restart"]}"#,
        )
        .unwrap();
        assert_eq!(opinion.model, "llama");
        assert_eq!(opinion.explanation, "nginx says so in line 3");
        assert_eq!(opinion.confidence, Some(90));
        assert_eq!(opinion.suggestions, ["look at ss -ltnp"]);
        assert_eq!(opinion.order, names(&["port-conflict", "service-restart"]));
    }

    #[test]
    fn unknown_fields_of_an_answer_are_dropped() {
        let long = "x".repeat(5_000);
        let content = json!({
            "cause": format!("{long} \u{1b}[31m"),
            "explanation": "postgres://shop:hunter2secret@db/ \u{202e}",
            "suggestions": vec!["a"; 50],
            "order": ["rm-rf", "service-restart", "service-restart", "../../x"],
            "act": "unit-control.stop", "commands": ["rm -rf /"],
        });
        let opinion = read(&content.to_string()).unwrap();
        assert_eq!(opinion.cause.chars().count(), CAUSE_MAX + 1);
        assert!(!opinion.explanation.contains("hunter2"), "{opinion:?}");
        assert!(!opinion.explanation.contains('\u{202e}'), "{opinion:?}");
        assert_eq!(opinion.suggestions.len(), SUGGESTIONS_MAX);
        assert_eq!(opinion.order, names(&["service-restart"]));
        assert_eq!(opinion.confidence, None);
    }

    #[rstest]
    #[case("")]
    #[case("I think that the port is taken.")]
    #[case("[]")]
    #[case(r#"{"cause":"a"}"#)]
    #[case(r#"{"cause":1,"explanation":"b"}"#)]
    #[case(r#"{"cause":" ","explanation":"b"}"#)]
    #[case(r#"{"cause":"a","explanation":"b","confidence":101}"#)]
    #[case(r#"{"cause":"a","explanation":"b","confidence":-1}"#)]
    #[case(r#"{"cause":"a","explanation":"b","confidence":"high"}"#)]
    #[case(r#"{"cause":"a","explanation":"b","order":"service-restart"}"#)]
    #[case(r#"{"cause":"a","explanation":"b"} and more"#)]
    fn another_shape_is_no_answer(#[case] content: &str) {
        assert!(read(content).is_err());
    }

    #[test]
    fn wrapped_as_in_markdown() {
        let opinion = read("```json\n{\"cause\":\"a\",\"explanation\":\"b\"}\n```").unwrap();
        assert_eq!(opinion.cause, "a");
    }

    #[rstest]
    #[case(
        r#"{"verdict":"allow","reason":"it is a leftover"}"#,
        Some(SecondOpinionVerdict::Allow)
    )]
    #[case(
        r#"{"verdict":"veto","reason":"it is a backup"}"#,
        Some(SecondOpinionVerdict::Veto)
    )]
    #[case(r#"{"verdict":"Allow","reason":"x"}"#, None)]
    #[case(r#"{"verdict":"yes","reason":"x"}"#, None)]
    #[case(r#"{"verdict":"allow","reason":""}"#, None)]
    #[case(r#"{"verdict":"allow"}"#, None)]
    #[case(r#"{"reason":"x"}"#, None)]
    #[case("allow", None)]
    fn verdicts(#[case] content: &str, #[case] expected: Option<SecondOpinionVerdict>) {
        let found = verdict(content, "llama", &Hider::nothing()).ok();
        assert_eq!(found.map(|found| found.verdict), expected);
    }
}
