//! What a browser may do with a page of the console.
//!
//! Nothing inline, nothing from elsewhere, no frame around it: whatever a name may hold, no browser runs it
//! (Content Security Policy Level 3). Pages show secrets, so no cache keeps them.

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::middleware::Next;
use axum::response::Response;

/// Everything that a page may load, and where it may send forms.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                          form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Adds the headers to every answer. A referrer stays on this site: with `no-referrer` browsers would hide the origin of
/// our own forms as well, which is what they are told by.
pub async fn protect(request: Request, next: Next) -> Response {
    protected(next.run(request).await)
}

/// The answer with the headers.
pub fn protected(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
