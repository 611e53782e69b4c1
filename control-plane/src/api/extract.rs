//! Reading requests: paths, queries and bodies, whole and within limits.
//!
//! A body is JSON of at most 64 KiB and has ten seconds to arrive. What is no JSON is 400; what is JSON of the
//! wrong shape, unknown fields included, is 422 with a pointer to the field.

use std::str::FromStr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use portcullis_core::digest::Digest;
use portcullis_core::id::{Id, Named};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_path_to_error::Segment;

use crate::domain::fault::Faults;
use crate::problem::Problem;

/// The longest body that any operation takes.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// The id in the path. A text that is no id names nothing: 404.
pub struct PathId<K>(pub Id<K>);

impl<K: Named, S: Send + Sync> FromRequestParts<S> for PathId<K> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let nothing = || Problem::not_found("resource");
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| nothing())?;
        Id::from_str(&text).map(Self).map_err(|_| nothing())
    }
}

/// The fields of the query string. Unknown ones are refused: 400.
#[derive(Debug)]
pub struct QueryOf<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryOf<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        read.map(|Query(fields)| Self(fields)).map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.body_text()))
    }
}

/// A JSON body, and the digest of its bytes.
#[derive(Debug)]
pub struct JsonBody<T> {
    /// What it says.
    pub value: T,
    /// The digest of the bytes that said it.
    pub digest: Digest,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        check_media_type(request.headers())?;
        let bytes = read_body(request.into_body()).await?;
        Ok(Self { value: parse(&bytes)?, digest: Digest::of(&bytes) })
    }
}

/// A JSON body that may be left out.
#[derive(Debug)]
pub struct MaybeJsonBody<T> {
    /// What it says, or what is assumed where it says nothing.
    pub value: T,
    /// The digest of the bytes that said it.
    pub digest: Digest,
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for MaybeJsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read_body(body).await?;
        let digest = Digest::of(&bytes);
        if bytes.is_empty() {
            return Ok(Self { value: T::default(), digest });
        }
        check_media_type(&parts.headers)?;
        Ok(Self { value: parse(&bytes)?, digest })
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    if media_type.trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = "Send the body as JSON, with Content-Type: application/json.";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

/// The whole of a body, within limits.
pub async fn read_body(body: Body) -> Result<Bytes, Problem> {
    let limited = Limited::new(body, BODY_BYTES_MAX).collect();
    let Ok(read) = tokio::time::timeout(BODY_TIME_MAX, limited).await else {
        let detail = "The body took too long to arrive.";
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail));
    };
    read.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() {
            let detail = format!("The body is longer than {BODY_BYTES_MAX} bytes.");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
        } else {
            Problem::new(StatusCode::BAD_REQUEST, "The body did not arrive whole.")
        }
    })
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    use serde_json::error::Category;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let malformed =
        |error: &serde_json::Error| Problem::new(StatusCode::BAD_REQUEST, format!("The body is not JSON: {error}."));
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| match error.inner().classify() {
        Category::Data => {
            let detail = without_position(&error.inner().to_string());
            Problem::from(Faults::one(pointer_to(error.path()), detail))
        }
        Category::Syntax | Category::Eof | Category::Io => malformed(error.inner()),
    })?;
    reader.end().map_err(|error| malformed(&error))?;
    // A list would do for serde: the fields of a struct in their order.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(Faults::one("", "expected an object").into());
    }
    Ok(value)
}

/// A path as a JSON pointer (RFC 6901).
fn pointer_to(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// The message without "at line 1 column 2", which the pointer says better.
fn without_position(message: &str) -> String {
    match message.rfind(" at line ") {
        Some(position) => message.chars().take(message[..position].chars().count()).collect(),
        None => message.to_owned(),
    }
}

/// A field of a PATCH: left out, null or a value (RFC 7396).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// It is not in the request: what was there stays.
    #[default]
    Absent,
    /// It is null: what was there goes.
    Null,
    /// It has this value now.
    Value(T),
}

impl<T> Field<T> {
    /// What the field is after the request, if it may be null.
    pub fn or_keep(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Absent => before,
            Self::Null => None,
            Self::Value(value) => Some(value),
        }
    }

    /// The field with its value read by `read`, if it has one.
    pub fn try_map<U, E>(self, read: impl FnOnce(T) -> Result<U, E>) -> Result<Field<U>, E> {
        Ok(match self {
            Self::Absent => Field::Absent,
            Self::Null => Field::Null,
            Self::Value(value) => Field::Value(read(value)?),
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::deserialize(deserializer)? {
            None => Self::Null,
            Some(value) => Self::Value(value),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Outer {
        a: Option<Vec<u8>>,
        #[serde(default)]
        b: Field<String>,
    }

    async fn refusal(body: &str) -> (u16, serde_json::Value) {
        use axum::response::IntoResponse;
        let response = parse::<Outer>(body.as_bytes()).unwrap_err().into_response();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn a_fault_is_named_by_its_pointer() {
        for (body, pointer) in [
            (r#"{"a":[1,"x"]}"#, "/a/1"),
            (r#"{"b":7}"#, "/b"),
            (r#"{"c/d":7}"#, "/c~1d"),
            ("[]", ""),
            ("[null,null]", ""),
        ] {
            let (status, problem) = refusal(body).await;
            assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &pointer.into()), "{body}");
        }
    }

    #[tokio::test]
    async fn what_is_no_json_is_malformed() {
        for body in ["", "{", "{} {}", "\u{0}", r#"{"a":1e999}"#] {
            assert_eq!(refusal(body).await.0, 400, "{body}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_given_up() {
        use axum::response::IntoResponse;
        let drip = dripping();
        let request = Request::builder().header(CONTENT_TYPE, "application/json").body(drip).unwrap();
        let started = tokio::time::Instant::now();
        let problem = JsonBody::<Outer>::from_request(request, &()).await.unwrap_err();
        assert_eq!(problem.into_response().status(), 408);
        assert_eq!(started.elapsed(), BODY_TIME_MAX);
    }

    /// A body of which one byte comes every second, for ever.
    fn dripping() -> Body {
        let (mut send, receive) = http_body_util::channel::Channel::<Bytes>::new(1);
        tokio::spawn(async move {
            while send.send_data(Bytes::from_static(b" ")).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        Body::new(receive)
    }

    #[test]
    fn absent_null_and_a_value_are_three_things() {
        let read = |body: &str| parse::<Outer>(body.as_bytes()).unwrap().b;
        assert_eq!(read("{}"), Field::Absent);
        assert_eq!(read(r#"{"b":null}"#), Field::Null);
        assert_eq!(read(r#"{"b":"x"}"#), Field::Value("x".to_owned()));
    }
}
