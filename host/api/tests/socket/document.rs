//! The document that the daemon gives of itself, against its real answers.

use prunella_core::access::Role;
use rstest::rstest;
use serde_json::Value;

use super::{
    House,
    web::{body, key_of},
};

/// What is wrong with a value, by a schema: as far as our schemas say anything.
fn amiss(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.strip_prefix("#/components/schemas/").unwrap();
        return amiss(
            document,
            &document["components"]["schemas"][name],
            value,
            at,
        );
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let mut found = Vec::new();
    // What a list holds is not described everywhere.
    if !types.is_empty() && !types.contains(&is) {
        found.push(format!("{at} is a {is}, not {types:?}"));
    }
    if let (Value::Object(fields), Value::Object(known)) = (value, &schema["properties"]) {
        for required in schema["required"].as_array().into_iter().flatten() {
            if !fields.contains_key(required.as_str().unwrap()) {
                found.push(format!("{at} has no {required}"));
            }
        }
        for (name, value) in fields {
            match known.get(name) {
                Some(schema) => {
                    found.extend(amiss(document, schema, value, &format!("{at}.{name}")));
                }
                None => found.push(format!("{at}.{name} is not described")),
            }
        }
    }
    if let (Value::Array(items), Value::Object(_)) = (value, &schema["items"]) {
        for item in items {
            found.extend(amiss(document, &schema["items"], item, &format!("{at}[]")));
        }
    }
    found
}

#[rstest]
#[case("GET", "/health", "/health", "")]
#[case("GET", "/api/v1/status", "/api/v1/status", "")]
#[case("GET", "/api/v1/services", "/api/v1/services", "")]
#[case("GET", "/api/v1/health", "/api/v1/health", "")]
#[case("GET", "/api/v1/health/{subject}", "/api/v1/health/a.service", "")]
#[case("GET", "/api/v1/metrics", "/api/v1/metrics", "")]
#[case("GET", "/api/v1/metrics/{subject}", "/api/v1/metrics/host", "")]
#[case(
    "GET",
    "/api/v1/metrics/{subject}/{metric}",
    "/api/v1/metrics/host/load-permille",
    ""
)]
#[case("GET", "/api/v1/incidents", "/api/v1/incidents?limit=2", "")]
#[case(
    "GET",
    "/api/v1/incidents/{id}",
    "/api/v1/incidents/20261121-142301-7f3a",
    ""
)]
#[case("GET", "/api/v1/records", "/api/v1/records", "")]
#[case("GET", "/api/v1/strategies", "/api/v1/strategies", "")]
#[case("GET", "/api/v1/plugins", "/api/v1/plugins", "")]
#[case("GET", "/api/v1/approvals", "/api/v1/approvals", "")]
#[case("GET", "/api/v1/expected-work", "/api/v1/expected-work", "")]
#[case("GET", "/api/v1/alerts", "/api/v1/alerts", "")]
#[case("GET", "/api/v1/audit", "/api/v1/audit", "")]
#[case(
    "POST",
    "/api/v1/approvals/{id}/decision",
    "/api/v1/approvals/x/decision",
    r#"{"approve":true}"#
)]
#[case(
    "POST",
    "/api/v1/incidents/{id}/undo",
    "/api/v1/incidents/x/undo",
    r#"{"dry_run":true}"#
)]
#[case("POST", "/api/v1/pauses", "/api/v1/pauses", r#"{"reason":"x"}"#)]
#[case("DELETE", "/api/v1/pauses", "/api/v1/pauses", "")]
#[case("DELETE", "/api/v1/pauses/{unit}", "/api/v1/pauses/a.service", "")]
#[case(
    "POST",
    "/api/v1/expected-work",
    "/api/v1/expected-work",
    r#"{"unit":"a.service","until":9,"reason":"x"}"#
)]
#[case(
    "DELETE",
    "/api/v1/expected-work/{unit}",
    "/api/v1/expected-work/a.service",
    ""
)]
#[case("POST", "/api/v1/alerts/retry", "/api/v1/alerts/retry", "")]
#[case("POST", "/api/v1/alerts/{id}/retry", "/api/v1/alerts/x/retry", "")]
// Problems are answers too.
#[case("GET", "/api/v1/services/{unit}", "/api/v1/services/a.service", "")]
#[case("GET", "/api/v1/alerts/{id}", "/api/v1/alerts/x", "")]
#[case("POST", "/api/v1/reload", "/api/v1/reload", "")]
#[case("GET", "/api/v1/keys", "/api/v1/keys", "")]
fn an_answer_is_as_it_is_described(
    #[case] method: &str,
    #[case] path: &str,
    #[case] address: &str,
    #[case] sent: &str,
) {
    let house = House::new();
    // Something that can be listed.
    let pause = r#"{"reason":"x"}"#;
    house.as_role(Role::Operator, "POST", "/api/v1/pauses", pause);
    let document = body(&house.web("GET", "/api/v1/openapi.json", &[], ""));
    let operation = &document["paths"][path][method.to_lowercase()];
    assert!(operation.is_object(), "{method} {path} is not described");
    if !sent.is_empty() {
        let sent: Value = serde_json::from_str(sent).unwrap();
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(amiss(&document, schema, &sent, "body"), [""; 0]);
    }
    let headers = [
        ("X-API-Key", &*key_of(Role::Operator)),
        ("Content-Type", "application/json"),
    ];
    let answer = house.web(method, address, &headers, sent);
    let status = answer.split(' ').nth(1).unwrap();
    let responses = &operation["responses"];
    let (response, media_type) = match responses.get(status) {
        Some(response) => (response, "application/json"),
        None => (&responses["default"], "application/problem+json"),
    };
    let schema = &response["content"][media_type]["schema"];
    assert!(schema.is_object(), "{status} is not described: {answer}");
    assert!(
        answer
            .to_lowercase()
            .contains(&format!("content-type: {media_type}"))
    );
    assert_eq!(amiss(&document, schema, &body(&answer), "answer"), [""; 0]);
}
