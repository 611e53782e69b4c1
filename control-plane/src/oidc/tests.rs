//! Sign-ins with a provider that is staged here, and everything for which one is refused.

mod refused;
mod renewed;
mod staged;

use super::OidcError;
use staged::{Staged, signed_in};

#[tokio::test]
async fn the_provider_says_who_somebody_is() {
    let staged = Staged::start().await;
    let identity = signed_in(&staged, |_| ()).await.unwrap();
    assert_eq!(identity.subject, "248289761001");
    assert_eq!(identity.name.as_str(), "ada@example.com");
}

#[tokio::test]
async fn the_request_has_everything_that_binds_the_answer_to_the_browser() {
    let staged = Staged::start().await;
    let begun = staged.provider("email").begin().await.unwrap();
    assert!(begun.url.starts_with(&format!("{}/authorize?", staged.issuer())));
    let query = staged::query(&begun.url);
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "portcullis"),
        ("redirect_uri", "https://keys.example.com/sign-in/oidc/callback"),
        ("scope", "openid email profile"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(query[name], value, "{name}");
    }
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(query[name].len(), 43, "{name}");
    }
    assert!(!begun.url.contains(begun.pending.verifier()));
}

#[tokio::test]
async fn the_code_is_exchanged_with_the_verifier_and_the_clients_secret() {
    let staged = Staged::start().await;
    signed_in(&staged, |_| ()).await.unwrap();
    let exchange = staged.last_exchange();
    assert_eq!(exchange.form["code"], "the-code");
    assert_eq!(exchange.form["redirect_uri"], "https://keys.example.com/sign-in/oidc/callback");
    assert_eq!(staged::challenge_of(&exchange.form["code_verifier"]), exchange.challenge);
    // `portcullis:the secret`, each encoded as RFC 6749, section 2.3.1, asks for.
    assert_eq!(exchange.authorization.as_deref(), Some("Basic cG9ydGN1bGxpczp0aGUrc2VjcmV0"));
    assert!(!exchange.form.contains_key("client_secret"));
}

#[tokio::test]
async fn a_provider_that_reads_only_bodies_finds_the_secret_there() {
    let staged = Staged::start().await;
    staged.describe("token_endpoint_auth_methods_supported", serde_json::json!(["client_secret_post"]));
    signed_in(&staged, |_| ()).await.unwrap();
    let exchange = staged.last_exchange();
    assert_eq!((exchange.authorization, exchange.form["client_secret"].as_str()), (None, "the secret"));
}

#[tokio::test]
async fn any_claim_can_be_the_name() {
    let staged = Staged::start().await;
    staged.use_claim("department_login");
    let identity = signed_in(&staged, |claims| claims["department_login"] = "ada.l".into()).await.unwrap();
    assert_eq!(identity.name.as_str(), "ada.l");
    staged.use_claim("sub");
    assert_eq!(signed_in(&staged, |_| ()).await.unwrap().name.as_str(), "248289761001");
}

#[tokio::test]
async fn an_answer_may_name_its_issuer_and_must_where_the_provider_always_does() {
    let staged = Staged::start().await;
    let finish = async |iss: Option<&str>| {
        let provider = staged.provider("email");
        let begun = provider.begin().await.unwrap();
        let mut query = staged.answer(&begun.url, |_| ());
        query.extend(iss.map(|iss| ("iss".to_owned(), iss.to_owned())));
        provider.finish(begun.pending, &query).await.map(|_| ())
    };
    assert_eq!(finish(Some(staged.issuer())).await, Ok(()));
    assert_eq!(finish(Some("https://evil.example")).await, Err(OidcError::Issuer));
    assert_eq!(finish(None).await, Ok(()));
    staged.describe("authorization_response_iss_parameter_supported", true.into());
    assert_eq!(finish(None).await, Err(OidcError::Issuer));
    assert_eq!(finish(Some(staged.issuer())).await, Ok(()));
}
