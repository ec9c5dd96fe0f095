//! What a model answered, checked: texts are cut and made fit to show, and a strategy
//! that was not offered is not there.
//!
//! What can be meant in one way only is taken so: `0.8` and `"80 %"` are a confidence
//! of 80, `1` is all of it and `"1 %"` is not, a string is a list of one, a list of texts
//! is one text where one is wanted, a list of one answer is that answer, and so is the one
//! object in a text. `"Cause"` is `cause`. A field that cannot be understood is left out, with
//! a remark, where the rest makes sense without it.

use prunella_core::{
    StrategyName,
    diagnosis::{Opinion, SecondOpinion, SecondOpinionVerdict},
    text::{one_line, redact},
};
use prunella_redact::Hider;
use serde_json::{Map, Value, json};

const CAUSE_MAX: usize = 200;
const EXPLANATION_MAX: usize = 1_000;
const SUGGESTION_MAX: usize = 300;
const SUGGESTIONS_MAX: usize = 5;

/// An answer that is of no use: sentences about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error("its answer is not JSON: {0}")]
    NotJson(String),
    #[error("its answer is JSON, but no object")]
    NoObject,
    /// A text without which the rest says nothing.
    #[error("its answer has no `{0}`")]
    Missing(&'static str),
    /// The same, with another value than a text.
    #[error("`{field}` of its answer is {value}, and should be {wanted}")]
    Field {
        field: &'static str,
        value: String,
        wanted: &'static str,
    },
}

/// What was made of an answer, and what had to be left out of it.
#[derive(Debug)]
pub(crate) struct Read<T> {
    pub(crate) answer: T,
    /// A sentence for each field that was left out.
    pub(crate) left_out: Vec<String>,
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

/// An opinion, of which only `strategies` are in the order.
pub(crate) fn opinion(
    content: &str,
    model: &str,
    strategies: &[StrategyName],
    hider: &Hider,
) -> Result<Read<Opinion>, AnswerError> {
    let object = parse(content)?;
    let mut left_out = Vec::new();
    let cause = required(&object, "cause", CAUSE_MAX, hider)?;
    let explanation = match object.get("explanation") {
        None | Some(Value::Null) => String::new(),
        Some(value) => match joined(value) {
            Some(text) => shown(&text, EXPLANATION_MAX, hider),
            None => {
                left_out.push(remark("explanation", value, "a text"));
                String::new()
            }
        },
    };
    let confidence = match object.get("confidence") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let percent = percent(value);
            if percent.is_none() {
                left_out.push(remark("confidence", value, "a whole number from 0 to 100"));
            }
            percent
        }
    };
    let suggestions = texts(&object, "suggestions", &mut left_out)
        .iter()
        .map(|suggestion| shown(suggestion, SUGGESTION_MAX, hider))
        .filter(|suggestion| !suggestion.is_empty())
        .take(SUGGESTIONS_MAX)
        .collect();
    let mut order: Vec<StrategyName> = Vec::new();
    for name in texts(&object, "order", &mut left_out) {
        let known = strategies
            .iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(&name));
        match known {
            Some(known) if order.contains(known) => {}
            Some(known) => order.push(known.clone()),
            None => left_out.push(format!(
                "`order` of its answer names `{}`, which is no strategy of the service",
                one_line(&redact(&name), 80)
            )),
        }
    }
    Ok(Read {
        answer: Opinion {
            model: model.to_owned(),
            cause,
            explanation,
            confidence,
            suggestions,
            order,
        },
        left_out,
    })
}

/// A verdict on an act. Nothing of it can be left out.
pub(crate) fn verdict(
    content: &str,
    model: &str,
    hider: &Hider,
) -> Result<SecondOpinion, AnswerError> {
    let object = parse(content)?;
    let said = object
        .get("verdict")
        .ok_or(AnswerError::Missing("verdict"))?;
    let word = said.as_str().map(|word| word.trim().to_ascii_lowercase());
    let verdict = match word.as_deref() {
        Some("allow") => SecondOpinionVerdict::Allow,
        Some("veto") => SecondOpinionVerdict::Veto,
        _ => return Err(wrong("verdict", said, "`allow` or `veto`")),
    };
    // A verdict without a reason is worth nothing.
    let reason = required(&object, "reason", EXPLANATION_MAX, hider)?;
    Ok(SecondOpinion {
        model: model.to_owned(),
        verdict,
        reason,
    })
}

/// The JSON object of an answer. Models without a schema like to wrap it as one does in
/// Markdown, or to put sentences around it.
fn parse(content: &str) -> Result<Map<String, Value>, AnswerError> {
    let content = content.trim();
    let value = match serde_json::from_str(content) {
        Ok(value) => value,
        Err(error) => Value::Object(
            only_object(content)
                .ok_or_else(|| AnswerError::NotJson(one_line(&error.to_string(), 200)))?,
        ),
    };
    let object = match value {
        Value::Object(object) => object,
        Value::Array(items) => match <[Value; 1]>::try_from(items) {
            Ok([Value::Object(object)]) => object,
            _ => return Err(AnswerError::NoObject),
        },
        _ => return Err(AnswerError::NoObject),
    };
    Ok(in_lower_case(object))
}

/// The one JSON object in a text, whatever stands around it; none where there are several,
/// one of which may be the example and not the answer.
fn only_object(content: &str) -> Option<Map<String, Value>> {
    let mut found = None;
    let mut rest = content;
    while let Some(start) = rest.find('{') {
        let from = rest.get(start..)?;
        let mut values = serde_json::Deserializer::from_str(from).into_iter::<Map<String, Value>>();
        let object = match values.next()? {
            Ok(object) => object,
            // What is in an object that was cut off is not the answer.
            Err(error) if error.is_eof() => return None,
            Err(_) => {
                rest = from.get(1..)?;
                continue;
            }
        };
        if found.replace(object).is_some() {
            return None;
        }
        rest = from.get(values.byte_offset()..)?;
    }
    found
}

/// With the names of its fields as they were asked for. Where two differ in case alone, the
/// one that is written as asked for counts.
fn in_lower_case(object: Map<String, Value>) -> Map<String, Value> {
    let (asked_for, others): (Map<_, _>, Map<_, _>) = object
        .into_iter()
        .partition(|(name, _)| !name.contains(|c: char| c.is_ascii_uppercase()));
    let mut fields = asked_for;
    for (name, value) in others {
        fields.entry(name.to_ascii_lowercase()).or_insert(value);
    }
    fields
}

fn required(
    object: &Map<String, Value>,
    field: &'static str,
    max: usize,
    hider: &Hider,
) -> Result<String, AnswerError> {
    let value = object.get(field).ok_or(AnswerError::Missing(field))?;
    let text = joined(value).ok_or_else(|| wrong(field, value, "a text"))?;
    let text = shown(&text, max, hider);
    if text.is_empty() {
        return Err(AnswerError::Missing(field));
    }
    Ok(text)
}

/// A text, or a list of nothing but texts as one.
fn joined(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) if !items.is_empty() => {
            let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            Some(texts?.join("; "))
        }
        _ => None,
    }
}

/// A list of texts, or one text; what else is in it is left out.
fn texts(
    object: &Map<String, Value>,
    field: &'static str,
    left_out: &mut Vec<String>,
) -> Vec<String> {
    match object.get(field) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(|item| {
                let text = item.as_str().map(str::to_owned);
                if text.is_none() {
                    left_out.push(remark(field, item, "a list of texts"));
                }
                text
            })
            .collect(),
        Some(other) => {
            left_out.push(remark(field, other, "a list of texts"));
            Vec::new()
        }
    }
}

/// A confidence: up to 1 it is a share, so that 1 is all of it, unless it is marked as a
/// percentage; a whole number above is a percentage, as was asked for. A model that is sure
/// by one percent is not met with, and one that answers with shares says 1 often. What lies
/// above 1 and has a fraction may be a mistaken share as well as a percentage: it is neither.
fn percent(value: &Value) -> Option<u8> {
    let (number, marked): (f64, bool) = match value {
        Value::Number(number) => (number.as_f64()?, false),
        Value::String(text) => {
            let text = text.trim();
            match text.strip_suffix('%') {
                Some(number) => (number.trim().parse().ok()?, true),
                None => (text.parse().ok()?, false),
            }
        }
        _ => return None,
    };
    let percent = match marked {
        true => number,
        false if number <= 1.0 => number * 100.0,
        false if number.fract() == 0.0 => number,
        false => return None,
    };
    if !(0.0..=100.0).contains(&percent) {
        return None;
    }
    // As text: a conversion of numbers could only be lossy by its type.
    format!("{percent:.0}").parse().ok()
}

fn wrong(field: &'static str, value: &Value, wanted: &'static str) -> AnswerError {
    AnswerError::Field {
        field,
        value: one_line(&redact(&value.to_string()), 80),
        wanted,
    }
}

fn remark(field: &'static str, value: &Value, wanted: &'static str) -> String {
    wrong(field, value, wanted).to_string()
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

    fn read_all(content: &str) -> Result<Read<Opinion>, AnswerError> {
        opinion(
            content,
            "llama",
            &names(&["port-conflict", "service-restart"]),
            &Hider::nothing(),
        )
    }

    fn read(content: &str) -> Result<Opinion, AnswerError> {
        read_all(content).map(|read| read.answer)
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
    #[case("", "not JSON")]
    #[case("I think that the port is taken.", "not JSON")]
    #[case("[]", "no object")]
    #[case(r#"[{"cause":"a"},{"cause":"b"}]"#, "no object")]
    #[case(r#"{"explanation":"b"}"#, "no `cause`")]
    #[case(
        r#"{"cause":1,"explanation":"b"}"#,
        "`cause` of its answer is 1, and should be a text"
    )]
    #[case(r#"{"cause":" ","explanation":"b"}"#, "no `cause`")]
    #[case(r#"{"cause":"a"} or else {"cause":"b"}"#, "not JSON")]
    #[case(r#"Sure! Here is: {"cause":"a""#, "not JSON")]
    fn an_answer_of_no_use_says_what_is_wrong_with_it(#[case] content: &str, #[case] says: &str) {
        let error = read(content).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }

    #[rstest]
    #[case::as_asked_for("80", Some(80))]
    #[case::a_share("0.8", Some(80))]
    #[case::all_of_it("1.0", Some(100))]
    #[case::all_of_it_as_a_whole_number("1", Some(100))]
    #[case::all_of_it_as_text(r#""1""#, Some(100))]
    #[case::one_percent(r#""1 %""#, Some(1))]
    #[case::two_percent("2", Some(2))]
    #[case::none("0", Some(0))]
    #[case::a_whole_number_with_a_point("72.0", Some(72))]
    #[case::a_fraction_of_a_percent(r#""72.5 %""#, Some(72))]
    #[case::neither_a_share_nor_a_percentage("1.5", None)]
    #[case::neither_as_text(r#""72.5""#, None)]
    #[case::text(r#""80""#, Some(80))]
    #[case::marked(r#""80 %""#, Some(80))]
    #[case::a_share_as_text(r#""0.8""#, Some(80))]
    #[case::less_than_one_percent(r#""0.5%""#, Some(0))]
    #[case::too_much("101", None)]
    #[case::negative("-1", None)]
    #[case::a_word(r#""high""#, None)]
    #[case::a_list("[80]", None)]
    fn a_confidence_in_other_words(#[case] value: &str, #[case] confidence: Option<u8>) {
        let content = format!(r#"{{"cause":"a","explanation":"b","confidence":{value}}}"#);
        let read = read_all(&content).unwrap();
        assert_eq!(read.answer.confidence, confidence);
        assert_eq!(read.left_out.len(), usize::from(confidence.is_none()));
        if let Some(remark) = read.left_out.first() {
            assert!(remark.contains("`confidence` of its answer is"), "{remark}");
        }
    }

    #[test]
    fn one_text_is_a_list_and_what_is_no_text_is_left_out() {
        let read = read_all(
            r#"{"cause":"a","explanation":7,"suggestions":"look at it",
                "order":["Port-Conflict",5]}"#,
        )
        .unwrap();
        assert_eq!(read.answer.suggestions, ["look at it"]);
        assert_eq!(read.answer.order, names(&["port-conflict"]));
        assert_eq!(read.answer.explanation, "");
        assert_eq!(
            read.left_out,
            [
                "`explanation` of its answer is 7, and should be a text",
                "`order` of its answer is 5, and should be a list of texts",
            ]
        );
    }

    #[test]
    fn a_list_of_causes_is_one_text_and_an_unknown_strategy_is_told_of() {
        let read = read_all(
            r#"{"cause":["the disk is full","and the log grows"],"explanation":["a","b"],
                "order":["rm-rf","service-restart"]}"#,
        )
        .unwrap();
        assert_eq!(read.answer.cause, "the disk is full; and the log grows");
        assert_eq!(read.answer.explanation, "a; b");
        assert_eq!(read.answer.order, names(&["service-restart"]));
        assert_eq!(
            read.left_out,
            ["`order` of its answer names `rm-rf`, which is no strategy of the service"]
        );
        assert!(read_all(r#"{"cause":["a",1]}"#).is_err());
        assert!(read_all(r#"{"cause":[]}"#).is_err());
    }

    #[rstest]
    #[case::marked("```json\n{\"cause\":\"a\",\"explanation\":\"b\"}\n```")]
    #[case::in_one_line("```{\"cause\":\"a\"}```")]
    #[case::in_a_list("[{\"cause\":\"a\"}]")]
    #[case::with_a_sentence("Here it is:\n```\n{\"cause\":\"a\"}\n```\nGood luck!")]
    #[case::after_a_sentence("Sure! Here is: {\"cause\":\"a\",\"order\":[{}]}")]
    #[case::among_sentences("As {asked}: {\"cause\":\"a\"} and more")]
    #[case::in_capitals("{\"Cause\":\"a\",\"CONFIDENCE\":80}")]
    #[case::as_asked_for_counts("{\"Cause\":\"b\",\"cause\":\"a\"}")]
    fn wrapped_unambiguously(#[case] content: &str) {
        assert_eq!(read(content).unwrap().cause, "a");
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
    #[case(
        r#"{"verdict":"VETO ","reason":"x"}"#,
        Some(SecondOpinionVerdict::Veto)
    )]
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
