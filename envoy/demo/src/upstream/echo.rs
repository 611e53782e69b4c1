//! The request as it arrived, so that a test can tell what Envoy and its filter made of it.
//!
//! Headers stand in the order of the HTTP library's map: a repeated name once per value, names in lower case. Bytes that
//! are not UTF-8 are replaced by U+FFFD, since JSON cannot hold them.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{OriginalUri, Request};
use axum::http::{HeaderMap, HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::{Value, json};

use super::error::UpstreamError;

/// The header of every answer with the request's headers as JSON: `[[name, value], …]`, in ASCII.
pub const ECHO_HEADER: &str = "x-echo-request-headers";

/// Beyond this many bytes [`ECHO_HEADER`] would be larger than proxies accept, so it says only `"too long"`.
const ECHO_HEADER_BYTES_MAX: usize = 16 * 1024;

/// Answers with `{"method", "path", "headers"}`; the path has its query.
///
/// # Errors
///
/// [`UpstreamError::UnreadableBody`]: the body is read, so that the connection can be used again, and then forgotten.
pub async fn echo(
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, UpstreamError> {
    body?;
    Ok(Json(json!({"method": method.as_str(), "path": path_of(&uri), "headers": list(&headers)})))
}

/// Adds [`ECHO_HEADER`] to every answer.
pub async fn add_header(request: Request, next: Next) -> Response {
    let seen = header_value(request.headers());
    let mut response = next.run(request).await;
    response.headers_mut().insert(ECHO_HEADER, seen);
    response
}

fn path_of(uri: &Uri) -> String {
    uri.path_and_query().map_or_else(|| uri.to_string(), ToString::to_string)
}

fn list(headers: &HeaderMap) -> Vec<[String; 2]> {
    headers
        .iter()
        .map(|(name, value)| [name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()])
        .collect()
}

fn header_value(headers: &HeaderMap) -> HeaderValue {
    let json = ascii(&json!(list(headers)).to_string());
    if json.len() > ECHO_HEADER_BYTES_MAX {
        return HeaderValue::from_static("\"too long\"");
    }
    HeaderValue::from_str(&json).unwrap_or(HeaderValue::from_static("\"not printable\""))
}

/// JSON text with every character outside of ASCII as `\uXXXX`.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() && character != '\u{7f}' {
            out.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}
