//! The API's own description, generated from the operations.
//!
//! An operation says what is its own; [`complete`] adds what holds for all of them, so that none can forget it:
//! ids that are unique, what refusals look like and which headers they carry, what a name and an id may hold.

use std::sync::Arc;

use axum::Extension;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::schema::{ArrayItems, SchemaType};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Components, Header, KnownFormat, Object, OpenApi as Description, RefOr, Response, Schema, SchemaFormat, Server,
    Type,
};

use super::docs::INSTANT;
use super::keys::list::SortName;
use crate::domain::fault::Fault;
use crate::domain::name::NAME_CHARACTERS_MAX;
use crate::problem::{MEDIA_TYPE, Problem};

/// What the characters of a name are held to; [`crate::domain::name::Name`] is what reads one.
const NAME_PATTERN: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";
/// What is searched for in names: it has no control characters either.
const SEARCH_PATTERN: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";
/// What a header of ours holds: visible ASCII.
const HEADER_PATTERN: &str = "^[!-~]+$";
/// What follows the prefix of an id, see [`portcullis_core::id`].
const ID_PATTERN: &str = "_[0-9a-f][0-9a-hjkmnp-tv-z]{12}$";
/// How long an id is: three letters, an underscore and 13 digits.
const ID_BYTES: usize = 17;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Portcullis admin API",
        description = "Issue, list, change, delete and reissue API keys; manage the APIs that they open, the \
                       organizations they belong to and the gateways that enforce them.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(Problem, Fault, SortName)),
    security(("access_token" = [])),
    tags(
        (name = "keys", description = "API keys"),
        (name = "apis", description = "APIs and their policies"),
        (name = "organizations", description = "Organizations"),
        (name = "users", description = "Users: people who use this API"),
        (name = "tokens", description = "Access tokens of this API"),
        (name = "sessions", description = "Signing in with a password"),
        (name = "gateways", description = "Gateways and their workers"),
        (name = "propagation", description = "Receipts: how far a change has come"),
        (name = "leaks", description = "Secrets that were found where they should not be"),
        (name = "usage", description = "What was used, by whom, and what it cost"),
        (name = "advice", description = "Keys that could do with less, and how"),
        (name = "audit", description = "Who did what, and what was refused"),
        (name = "health", description = "Health and metrics"),
    )
)]
struct Base;

/// The part of the description that no operation says of itself.
pub fn base() -> Description {
    let mut description = Base::openapi();
    let scheme = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An access token of the admin API, as `Authorization: Bearer TOKEN`"))
        .build();
    description
        .components
        .get_or_insert_with(Components::new)
        .add_security_scheme("access_token", SecurityScheme::Http(scheme));
    description
}

/// Adds to every operation of `description` what no operation says of itself.
pub fn complete(description: &mut Description) {
    // Relative, because the API does not know under which name it is reached.
    description.servers = Some(vec![Server::new("/")]);
    for operation in description.paths.paths.values_mut().flat_map(operations) {
        complete_operation(operation);
    }
    for schema in description.components.iter_mut().flat_map(|components| components.schemas.values_mut()) {
        complete_schema(schema);
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

fn complete_operation(operation: &mut Operation) {
    // Functions are named for what they do, and several create or list: the tag tells their ids apart.
    if let (Some([tag, ..]), Some(id)) = (operation.tags.as_deref(), &mut operation.operation_id)
        && id != tag
    {
        *id = format!("{tag}_{id}");
    }
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter {
            complete_parameter(parameter);
        }
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        complete_body(body);
    }
    for (status, response) in &mut operation.responses.responses {
        if let (Ok(status), RefOr::T(response)) = (status.parse(), response) {
            complete_response(status, response);
        }
    }
}

/// A parameter is there or not, but never null. What its place tells of its text is said, unless it says more.
fn complete_parameter(parameter: &mut Parameter) {
    let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema else {
        return;
    };
    without_null(&mut schema.schema_type);
    complete_text(schema);
    if schema.schema_type != SchemaType::Type(Type::String) || schema.pattern.is_some() {
        return;
    }
    schema.pattern = match (&parameter.parameter_in, parameter.name.as_str()) {
        (ParameterIn::Path, "worker") => Some(HEADER_PATTERN.to_owned()),
        (ParameterIn::Path, "id") => Some(format!("^[a-z]{{3}}{ID_PATTERN}")),
        (ParameterIn::Query, _) => schema.max_length.map(|_| SEARCH_PATTERN.to_owned()),
        (ParameterIn::Header, _) => Some(HEADER_PATTERN.to_owned()),
        (ParameterIn::Path | ParameterIn::Cookie | ParameterIn::QueryString, _) => None,
    };
}

fn without_null(schema_type: &mut SchemaType) {
    if let SchemaType::Array(types) = schema_type {
        types.retain(|kind| *kind != Type::Null);
        if let [one] = types.as_slice() {
            *schema_type = SchemaType::Type(one.clone());
        }
    }
}

/// A body that may be left out is no body that may be null.
fn complete_body(body: &mut RequestBody) {
    for content in body.content.values_mut() {
        let RefOr::T(content) = content else { continue };
        if let Some(RefOr::T(Schema::OneOf(either))) = &mut content.schema {
            either.items.retain(|item| !is_null(item));
            if let [one] = either.items.as_slice() {
                content.schema = Some(one.clone());
            }
        }
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}

/// A refusal shows an example, and the header that goes with its status.
fn complete_response(status: u16, response: &mut Response) {
    let Some(RefOr::T(content)) = response.content.get_mut(MEDIA_TYPE) else {
        return;
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if content.example.is_none() {
        content.example = serde_json::to_value(Problem::example(status)).ok();
    }
    let (header, meaning) = match status {
        StatusCode::UNAUTHORIZED => (WWW_AUTHENTICATE, "That a bearer token is asked for, and whether one was sent"),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            (RETRY_AFTER, "After how many seconds to try again")
        }
        _ => return,
    };
    let text = Schema::Object(Object::with_type(Type::String));
    let mut described = Header::new(text);
    described.description = Some(meaning.to_owned());
    response.headers.entry(header.to_string()).or_insert(RefOr::T(described));
}

fn complete_schema(schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => {
            complete_text(object);
            object.properties.values_mut().for_each(complete_schema);
        }
        Schema::Array(array) => match &mut array.items {
            ArrayItems::RefOrSchema(item) => complete_schema(item),
            ArrayItems::False => {}
        },
        Schema::OneOf(either) => either.items.iter_mut().for_each(complete_schema),
        Schema::AllOf(all) => all.items.iter_mut().for_each(complete_schema),
        Schema::AnyOf(any) => any.items.iter_mut().for_each(complete_schema),
        _ => {}
    }
}

/// What names, ids and instants hold, told by how long they are, by their example and by their format.
fn complete_text(text: &mut Object) {
    let is_name = (text.min_length, text.max_length) == (Some(1), Some(NAME_CHARACTERS_MAX));
    if is_name && text.pattern.is_none() {
        text.pattern = Some(NAME_PATTERN.to_owned());
        text.example.get_or_insert_with(|| "batch jobs".into());
    }
    if text.format == Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)) {
        text.example.get_or_insert_with(|| INSTANT.into());
    }
    let example = text.example.as_ref().and_then(|example| example.as_str()).unwrap_or_default();
    if let (ID_BYTES, Some((prefix, _))) = (example.len(), example.split_once('_'))
        && text.pattern.is_none()
    {
        text.pattern = Some(format!("^{prefix}{ID_PATTERN}"));
    }
}

/// The description, rendered once.
#[derive(Debug, Clone)]
pub struct Document(Arc<str>);

impl Document {
    /// Renders `description`.
    pub fn new(description: &Description) -> Self {
        let text = description.to_json().unwrap_or_else(|error| {
            tracing::error!(%error, "the OpenAPI document cannot be rendered");
            "{}".to_owned()
        });
        Self(text.into())
    }
}

/// `GET /openapi.json`. No token needed: it says what the source code says.
pub async fn serve(Extension(document): Extension<Document>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], document.0.to_string())
}
