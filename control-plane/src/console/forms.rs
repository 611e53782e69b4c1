//! Forms: what they say, and that they come from a page of ours.
//!
//! A form is taken if its `Origin` is this console's (a browser always sends one; where it does not, `Sec-Fetch-Site` must
//! not speak of another site) and if it carries the token of the session, or of the visitor before there is one
//! ([OWASP's cheat sheet](https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html)).
//! Otherwise nothing is done and the answer is 403.
//!
//! Fields are kept as they were sent, so that a form that is refused is shown again with what was typed.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use portcullis_core::digest::Digest;

use super::Console;
use super::client::{FieldFault, Refusal};
use super::failure::Failure;
use super::session::{Jar, Session, form_token};
use crate::api::extract::read_body;

/// The field that carries the token.
pub const TOKEN: &str = "form_token";
/// The field that makes sending a form twice harmless.
pub const ATTEMPT: &str = "attempt";

/// A value of [`ATTEMPT`] that no other form has.
pub fn attempt(console: &Console) -> Result<String, Failure> {
    Ok(format!("console-{}", console.random()?))
}

/// What a form says, in the order in which it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`, which is what query strings are written in too.
    pub fn parse(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// What a page begins with.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The text of a field, without white space at its ends; empty if it was not sent.
    pub fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The text of a field as it was typed, for passwords.
    pub fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// The text of a field, if there is any.
    pub fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Every value of a field that can be sent more than once.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Whether a box was ticked.
    pub fn is_ticked(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }
}

/// What is wrong with a form: as a whole, and with which fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// What is wrong with it as a whole.
    pub detail: Option<String>,
    /// What is wrong with its fields, by the names that the API gives them.
    pub fields: Vec<FieldFault>,
}

impl Faults {
    /// One field is wrong, before the API is asked.
    pub fn one(pointer: &str, detail: impl Into<String>) -> Self {
        let mut faults = Self::default();
        faults.add(pointer, detail);
        faults
    }

    /// One more field is wrong.
    pub fn add(&mut self, pointer: &str, detail: impl Into<String>) {
        self.fields.push(FieldFault { pointer: pointer.to_owned(), detail: detail.into() });
    }

    /// What is wrong with the field at `pointer`, or with a part of it.
    pub fn at<'a>(&'a self, pointer: &'a str) -> impl Iterator<Item = &'a str> {
        let within = move |fault: &&FieldFault| {
            fault.pointer.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.fields.iter().filter(within).map(|fault| fault.detail.as_str())
    }

    /// Whether there are any.
    pub const fn is_empty(&self) -> bool {
        self.detail.is_none() && self.fields.is_empty()
    }
}

/// What the API refuses of a form, to be shown in it; the rest is a failure.
impl TryFrom<Refusal> for Faults {
    type Error = Failure;

    fn try_from(refusal: Refusal) -> Result<Self, Failure> {
        if !refusal.is_about_form() {
            return Err(refusal.into());
        }
        let detail = match refusal.retry_after_seconds {
            Some(seconds) if refusal.status == StatusCode::TOO_MANY_REQUESTS => {
                Some(format!("Too many failed attempts. Try again in {seconds} s."))
            }
            Some(_) | None => refusal.faults.is_empty().then_some(refusal.detail),
        };
        Ok(Self { detail, fields: refusal.faults })
    }
}

/// A form of someone who is signed in.
pub struct Posted {
    /// Who sent it.
    pub session: Session,
    /// What it says.
    pub fields: Fields,
}

impl FromRequest<Console> for Posted {
    type Rejection = Failure;

    async fn from_request(request: Request, console: &Console) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let session = Session::from_request_parts(&mut parts, console).await?;
        let fields = read(console, Request::from_parts(parts, body), &session.frame.form_token).await?;
        Ok(Self { session, fields })
    }
}

/// A form of someone who is not signed in.
pub struct Unsigned {
    /// Something random that their browser keeps.
    pub visitor: String,
    /// What it says.
    pub fields: Fields,
}

impl FromRequest<Console> for Unsigned {
    type Rejection = Failure;

    async fn from_request(request: Request, console: &Console) -> Result<Self, Failure> {
        let visitor = Jar::Visitor.read(console, request.headers()).ok_or(Failure::Forged)?;
        let fields = read(console, request, &form_token(&visitor)).await?;
        Ok(Self { visitor, fields })
    }
}

/// The fields of a form that is one of ours.
async fn read(console: &Console, request: Request, expected: &str) -> Result<Fields, Failure> {
    let (parts, body) = request.into_parts();
    if !is_from_here(console, &parts) {
        return Err(Failure::Forged);
    }
    let bytes = read_body(body).await.map_err(|_| {
        Failure::from(Refusal::new(StatusCode::BAD_REQUEST, "The form is too long, or did not arrive whole."))
    })?;
    let fields = Fields::parse(&bytes);
    // Digests are compared in the same time wherever two differ.
    let sent = fields.raw(TOKEN).parse::<Digest>().map_err(|_| Failure::Forged)?;
    if expected.parse() == Ok(sent) { Ok(fields) } else { Err(Failure::Forged) }
}

/// Whether a browser says that the form comes from this console. Who is no browser says nothing, and has no cookies to
/// misuse.
fn is_from_here(console: &Console, parts: &Parts) -> bool {
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if let Some(site) = header("sec-fetch-site")
        && !matches!(site, "same-origin" | "none")
    {
        return false;
    }
    let Some(origin) = header(ORIGIN.as_str()) else { return true };
    if let Some(own) = &console.settings.public_url {
        return origin == own.origin();
    }
    // Without a setting it is the host that the request names; the scheme may have been another before a proxy.
    let host = header(HOST.as_str()).or_else(|| parts.uri.authority().map(|authority| authority.as_str()));
    let sent = origin.parse::<Uri>().ok();
    let sent = sent.as_ref().and_then(|uri| uri.authority()).map(|authority| authority.as_str());
    sent.is_some() && sent == host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name_and_kept_as_typed() {
        let fields = Fields::parse(b"name=+a%26b+&apis=x&apis=y&empty=&name=second");
        assert_eq!((fields.text("name"), fields.raw("name")), ("a&b", " a&b "));
        assert_eq!(fields.all("apis").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!((fields.given("empty"), fields.given("missing")), (None, None));
        assert!(fields.is_ticked("apis") && !fields.is_ticked("empty"));
    }

    #[test]
    fn a_fault_of_a_part_is_shown_at_the_whole() {
        let fault = |pointer: &str| Faults::one(pointer, "wrong");
        assert_eq!(fault("/apis/0").at("/apis").count(), 1);
        assert_eq!(fault("/apis").at("/apis").count(), 1);
        assert_eq!(fault("/apis_more").at("/apis").count(), 0);
    }
}
