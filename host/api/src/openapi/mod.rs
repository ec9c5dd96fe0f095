//! The API described for programs: OpenAPI 3.1, at `GET /api/v1/openapi.json`.
//!
//! [`operations`] has every address, [`schemas`] every body. What lies deeper than an answer's
//! own fields is described as an object: it is that of the commands' `--json`. Tests hold the
//! addresses to the router's, and real answers to the schemas.

mod operations;
mod schemas;

use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HttpMethod, InfoBuilder, LicenseBuilder, ObjectBuilder,
    OpenApi, OpenApiBuilder, PathItem, PathsBuilder, Ref, RefOr, Required, ResponseBuilder, Schema,
    SecurityRequirement,
    path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    schema::{ArrayBuilder, SchemaType, Type},
    security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
};

use self::operations::{Answer, Described, OPERATIONS};
use crate::{
    SESSION_HEADER,
    problem::MEDIA_TYPE,
    rights::{Need, need},
};

/// What the security schemes are called.
const KEY: &str = "key";
const BEARER: &str = "bearer";
const SESSION: &str = "session";

/// The whole document.
pub(crate) fn document() -> OpenApi {
    let mut paths = PathsBuilder::new();
    for described in OPERATIONS {
        let item = PathItem::new(described.method.clone(), operation(described));
        paths = paths.path(described.path, item);
    }
    let mut components = ComponentsBuilder::new()
        .security_scheme(
            KEY,
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key"))),
        )
        .security_scheme(
            BEARER,
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        )
        .security_scheme(
            SESSION,
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(SESSION_HEADER))),
        );
    for (name, fields) in schemas::ANSWERS {
        components = components.schema(*name, schemas::object(fields));
    }
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Prunella")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "A self-healing engine for Linux hosts. Times are milliseconds since 1970 (UTC).",
                ))
                .license(Some(
                    LicenseBuilder::new()
                        .name("Apache-2.0")
                        .identifier(Some("Apache-2.0"))
                        .build(),
                )),
        )
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

fn operation(described: &Described) -> Operation {
    let mut operation = OperationBuilder::new()
        .summary(Some(described.summary))
        .operation_id(Some(described.id));
    for name in names_in(described.path) {
        operation = operation.parameter(
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(ObjectBuilder::new().schema_type(Type::String))),
        );
    }
    for (name, kind) in described.query {
        operation = operation.parameter(
            ParameterBuilder::new()
                .name(*name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .schema(Some(kind.schema())),
        );
    }
    if let Some(fields) = described.body {
        operation = operation.request_body(Some(
            RequestBodyBuilder::new()
                .content(
                    "application/json",
                    ContentBuilder::new()
                        .schema(Some(schemas::closed_object(fields)))
                        .build(),
                )
                .required(Some(Required::True))
                .build(),
        ));
    }
    let problem = ResponseBuilder::new()
        .description("Why not, and what to do about it")
        .content(
            MEDIA_TYPE,
            ContentBuilder::new()
                .schema(Some(RefOr::Ref(Ref::from_schema_name("Problem"))))
                .build(),
        )
        .build();
    operation = operation
        .response(described.status().to_string(), answer(&described.answer))
        .response("default", problem);
    for requirement in requirements(described) {
        operation = operation.security(requirement);
    }
    operation.build()
}

/// Whoever may ask, is asked for one of these.
fn requirements(described: &Described) -> Vec<SecurityRequirement> {
    let none: [&str; 0] = [];
    let by = |name: &str| SecurityRequirement::new(name, none);
    match need(&described.http_method(), described.path) {
        // Root has no key: it comes to another socket.
        Need::Anyone | Need::Root => vec![SecurityRequirement::default()],
        Need::Session => vec![by(SESSION)],
        Need::ReadOwn | Need::Read | Need::Operate => vec![by(KEY), by(BEARER), by(SESSION)],
    }
}

fn answer(answer: &Answer) -> utoipa::openapi::Response {
    let json = |schema: RefOr<Schema>| {
        ResponseBuilder::new().description("The answer").content(
            "application/json",
            ContentBuilder::new().schema(Some(schema)).build(),
        )
    };
    let reference = |name: &str| RefOr::Ref(Ref::from_schema_name(name));
    let plain = |kind: Type| {
        RefOr::T(Schema::Object(
            ObjectBuilder::new()
                .schema_type(SchemaType::Type(kind))
                .build(),
        ))
    };
    match answer {
        Answer::One(name) => json(reference(name)).build(),
        Answer::List(name) => {
            let list = ArrayBuilder::new().items(reference(name)).build();
            json(RefOr::T(Schema::Array(list))).build()
        }
        Answer::Whether => json(plain(Type::Boolean)).build(),
        Answer::Any => json(plain(Type::Object)).build(),
        Answer::Nothing => ResponseBuilder::new().description("Done").build(),
        Answer::Texts(media_types) => media_types
            .iter()
            .fold(
                ResponseBuilder::new().description("The answer"),
                |response, media_type| {
                    let content = ContentBuilder::new().schema(Some(plain(Type::String)));
                    response.content(*media_type, content.build())
                },
            )
            .build(),
    }
}

/// The names in a path, such as `unit` in `/services/{unit}`.
fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

impl Described {
    pub(crate) fn http_method(&self) -> axum::http::Method {
        match self.method {
            HttpMethod::Post => axum::http::Method::POST,
            HttpMethod::Delete => axum::http::Method::DELETE,
            _ => axum::http::Method::GET,
        }
    }

    /// The status of an answer that is no problem.
    fn status(&self) -> u16 {
        match (self.path, &self.answer) {
            ("/api/v1/sessions", _) => 201,
            (_, Answer::Nothing) => 204,
            _ => 200,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_is_openapi_3_1_and_every_reference_leads_somewhere() {
        let document = serde_json::to_value(document()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let text = document.to_string();
        let known: BTreeSet<&str> = schemas::ANSWERS.iter().map(|(name, _)| *name).collect();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(known.contains(name), "there is no schema {name}");
        }
        let ids: BTreeSet<&str> = OPERATIONS.iter().map(|one| one.id).collect();
        assert_eq!(ids.len(), OPERATIONS.len(), "ids are used once");
    }

    /// Both ways: nothing is left out, and nothing is described that is not there.
    #[test]
    fn its_addresses_are_those_of_the_router() {
        let described: BTreeSet<(String, String)> = OPERATIONS
            .iter()
            .map(|one| (one.http_method().to_string(), one.path.to_owned()))
            .collect();
        let routed: BTreeSet<(String, String)> = crate::routes::addresses()
            .into_iter()
            .map(|(method, path)| (method.to_string(), path))
            .collect();
        assert_eq!(described, routed);
    }
}
