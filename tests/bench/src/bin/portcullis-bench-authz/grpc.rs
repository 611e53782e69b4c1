//! The gRPC method that Envoy calls, `envoy.service.auth.v3.Authorization/Check`, with as much of its messages as is used.
//!
//! The numbers are those of Envoy's `external_auth.proto`, `attribute_context.proto` and `base.proto`; a field that is not
//! named here is skipped. Framing is gRPC's over HTTP/2: a byte that says whether a message is compressed, four of its
//! length, the message.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Request, Response};
use prost::Message;

use super::{Identity, Keys};

const PREFIX_BYTES: usize = 5;
/// gRPC's code for a caller that is not known.
const UNAUTHENTICATED: i32 = 16;
const UNAUTHORIZED: i32 = 401;

#[derive(Clone, PartialEq, Message)]
struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    attributes: Option<AttributeContext>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeContext {
    #[prost(message, optional, tag = "4")]
    request: Option<AttributeRequest>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeRequest {
    #[prost(message, optional, tag = "2")]
    http: Option<HttpRequest>,
}

#[derive(Clone, PartialEq, Message)]
struct HttpRequest {
    #[prost(map = "string, string", tag = "3")]
    headers: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct CheckResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<Status>,
    #[prost(message, optional, tag = "2")]
    denied_response: Option<DeniedHttpResponse>,
    #[prost(message, optional, tag = "3")]
    ok_response: Option<OkHttpResponse>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct DeniedHttpResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<HttpStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct HttpStatus {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct OkHttpResponse {
    #[prost(message, repeated, tag = "2")]
    headers: Vec<HeaderValueOption>,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderValueOption {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
}

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// The answer to a call.
pub async fn answer(
    keys: Arc<Keys>,
    request: Request<Incoming>,
) -> Result<Response<impl Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let body = request.into_body().collect().await.expect("a whole call").to_bytes();
    let verdict = check(&keys, body.get(PREFIX_BYTES..).expect("a frame"));
    let trailers = HeaderMap::from_iter([("grpc-status".parse().expect("a name"), HeaderValue::from_static("0"))]);
    let body = Full::new(frame(&verdict)).with_trailers(ready(Some(Ok(trailers))));
    let answer = Response::builder().header(CONTENT_TYPE, "application/grpc").body(body);
    Ok(answer.expect("an answer"))
}

/// What to answer to this message.
fn check(keys: &Keys, message: &[u8]) -> CheckResponse {
    let call = CheckRequest::decode(message).expect("a call of Check");
    let http = call.attributes.and_then(|attributes| attributes.request).and_then(|request| request.http);
    let authorization = http.as_ref().and_then(|http| http.headers.get("authorization"));
    verdict(authorization.and_then(|value| keys.identify(value.as_bytes())))
}

fn verdict(identity: Option<&Identity>) -> CheckResponse {
    let Some(identity) = identity else {
        let status = Some(HttpStatus { code: UNAUTHORIZED });
        let denied_response = Some(DeniedHttpResponse { status });
        return CheckResponse {
            status: Some(Status { code: UNAUTHENTICATED }),
            denied_response,
            ..CheckResponse::default()
        };
    };
    let headers = identity.headers().map(|(name, value)| HeaderValueOption {
        header: Some(Header { key: name.to_owned(), value: value.to_owned() }),
    });
    let ok_response = Some(OkHttpResponse { headers: headers.into() });
    CheckResponse { status: Some(Status::default()), ok_response, ..CheckResponse::default() }
}

fn frame(message: &CheckResponse) -> Bytes {
    let length = message.encoded_len();
    let mut frame = Vec::with_capacity(PREFIX_BYTES + length);
    frame.push(0);
    frame.extend(u32::try_from(length).expect("a short message").to_be_bytes());
    message.encode(&mut frame).expect("room for it");
    frame.into()
}

#[cfg(test)]
mod tests {
    use portcullis_core::digest::Digest;

    use super::*;

    /// A field of a message: number, wire type 2, length, bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    /// A call as Envoy encodes it, with a field that nobody reads.
    fn call(authorization: &str) -> Vec<u8> {
        let header = [field(1, b"authorization"), field(2, authorization.as_bytes())].concat();
        field(1, &field(4, &field(2, &[field(1, b"id"), field(3, &header)].concat())))
    }

    #[test]
    fn a_key_that_is_known_is_introduced_and_another_is_refused() {
        let identity = ["key", "org", "user", "api"].map(str::to_owned);
        let [key_id, organization, user, api] = identity;
        let identity = Identity { key_id, organization, user, api };
        let keys = Keys(HashMap::from([(*Digest::of(b"secret").as_bytes(), identity)]));
        let passed = check(&keys, &call("Bearer secret"));
        assert_eq!(passed.status, Some(Status { code: 0 }));
        let headers = passed.ok_response.unwrap().headers.into_iter().map(|option| option.header.unwrap());
        let headers = headers.map(|header| format!("{}: {}", header.key, header.value)).collect::<Vec<_>>();
        let expected = ["key-id: key", "organization: org", "user: user", "api: api"];
        assert_eq!(headers, expected.map(|header| format!("x-portcullis-{header}")));
        let refused = check(&keys, &call("Bearer other"));
        assert_eq!((refused.status, refused.ok_response), (Some(Status { code: UNAUTHENTICATED }), None));
    }

    #[test]
    fn a_frame_says_how_long_its_message_is() {
        let bytes = frame(&verdict(None));
        let [compressed, length @ ..] = bytes.first_chunk::<PREFIX_BYTES>().unwrap();
        assert_eq!((*compressed, u32::from_be_bytes(*length) as usize), (0, bytes.len() - PREFIX_BYTES));
    }
}
