//! Everything for which a sign-in is refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::PrivateSigningKey as _;
use openidconnect::core::{CoreHmacKey, CoreJwsSigningAlgorithm};
use serde_json::{Value, json};

use super::staged::{NOW, Query, Staged, pairs, signed_in, unsigned};
use crate::oidc::{OidcError, TokenFault};

/// A sign-in whose answer is changed on its way through the browser.
async fn answered(staged: &Staged, change: impl FnOnce(&mut Query)) -> Result<(), OidcError> {
    let provider = staged.provider("email");
    let begun = provider.begin().await.unwrap();
    let mut answer = staged.answer(&begun.url, |_| ());
    change(&mut answer);
    provider.finish(begun.pending, &answer).await.map(|_| ())
}

/// What becomes of a token with changed claims.
async fn claimed(staged: &Staged, change: impl FnOnce(&mut Value)) -> Result<(), OidcError> {
    signed_in(staged, change).await.map(|_| ())
}

/// A sign-in where the exchange is answered with this.
async fn exchanged(staged: &Staged, status: u16, body: &str) -> Result<(), OidcError> {
    answered(staged, |_| staged.told().token_answer = (status, body.to_owned())).await
}

#[tokio::test]
async fn an_answer_to_another_sign_in_is_refused() {
    let staged = Staged::start().await;
    let another = staged.provider("email").begin().await.unwrap();
    for state in [another.pending.state(), "", "x"] {
        let refused = answered(&staged, |answer| answer[0].1 = state.to_owned()).await;
        assert_eq!(refused, Err(OidcError::State), "{state:?}");
    }
    assert_eq!(answered(&staged, |answer| drop(answer.remove(0))).await, Err(OidcError::State));
    let twice = answered(&staged, |answer| answer.push(("code".to_owned(), "another".to_owned()))).await;
    assert_eq!(twice, Err(OidcError::State));
    assert!(staged.last_exchange().form.is_empty(), "no code was exchanged");
}

#[tokio::test]
async fn a_provider_that_signs_nobody_in_is_believed() {
    let staged = Staged::start().await;
    for error in ["access_denied", "server_error", "<script>"] {
        let declined = answered(&staged, |answer| answer[1] = ("error".to_owned(), error.to_owned())).await;
        assert_eq!(declined, Err(OidcError::Declined));
    }
    // It is asked for by nobody unless the state is right.
    let provider = staged.provider("email");
    let begun = provider.begin().await.unwrap();
    let forged = provider.finish(begun.pending, &pairs(&[("error", "access_denied")])).await;
    assert_eq!(forged, Err(OidcError::State));
    assert_eq!(answered(&staged, |answer| answer.truncate(1)).await, Err(OidcError::Unusable));
}

#[tokio::test]
async fn a_token_for_another_sign_in_is_refused() {
    let staged = Staged::start().await;
    let refused = Err(OidcError::Token(TokenFault::Nonce));
    assert_eq!(claimed(&staged, |claims| claims["nonce"] = "another".into()).await, refused);
    assert_eq!(claimed(&staged, |claims| drop(claims.as_object_mut().unwrap().remove("nonce"))).await, refused);
}

#[tokio::test]
async fn a_token_for_somebody_else_is_refused() {
    let staged = Staged::start().await;
    let refused = Err(OidcError::Token(TokenFault::Audience));
    for audience in [json!("another"), json!([]), json!(["portcullis", "another"])] {
        assert_eq!(claimed(&staged, |claims| claims["aud"] = audience.clone()).await, refused, "{audience}");
    }
    assert_eq!(claimed(&staged, |claims| claims["azp"] = "another".into()).await, refused);
    let another = claimed(&staged, |claims| claims["iss"] = "https://evil.example".into()).await;
    assert_eq!(another, Err(OidcError::Token(TokenFault::Issuer)));
    assert_eq!(claimed(&staged, |claims| claims["aud"] = json!(["portcullis"])).await, Ok(()));
    assert_eq!(claimed(&staged, |claims| claims["azp"] = "portcullis".into()).await, Ok(()));
}

#[tokio::test]
async fn a_token_ends_at_its_second() {
    let staged = Staged::start().await;
    let expired = claimed(&staged, |claims| claims["exp"] = NOW.into()).await;
    assert_eq!(expired, Err(OidcError::Token(TokenFault::Expired)));
    assert_eq!(claimed(&staged, |claims| claims["exp"] = (NOW + 1).into()).await, Ok(()));
}

#[tokio::test]
async fn a_token_that_the_provider_has_not_signed_is_refused() {
    let staged = Staged::start().await;
    let refused = Err(OidcError::Token(TokenFault::Signature));
    staged.told().key = (2, "one");
    assert_eq!(claimed(&staged, |_| ()).await, refused);
    staged.told().key = (1, "one");
    assert_eq!(claimed(&staged, |_| ()).await, Ok(()));
    // By nobody at all, and with the client's secret: the provider lists both, and neither is taken.
    for algorithm in ["none", "HS256"] {
        let provider = staged.provider("email");
        let begun = provider.begin().await.unwrap();
        let mut claims = Value::Null;
        let answer = staged.answer(&begun.url, |now| claims = now.clone());
        let input = unsigned(&json!({"alg": algorithm}), &claims);
        let signature = match algorithm {
            "HS256" => CoreHmacKey::new("the secret").sign(&CoreJwsSigningAlgorithm::HmacSha256, input.as_bytes()),
            _ => Ok(Vec::new()),
        };
        let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.unwrap()));
        let body = json!({"access_token": "x", "token_type": "Bearer", "id_token": token});
        staged.told().token_answer = (200, body.to_string());
        let finished = provider.finish(begun.pending, &answer).await.map(|_| ());
        assert_eq!(finished, refused, "{algorithm}");
    }
}

#[tokio::test]
async fn an_address_that_is_not_verified_is_nobodys_name() {
    let staged = Staged::start().await;
    let refused = Err(OidcError::EmailUnverified);
    assert_eq!(claimed(&staged, |claims| claims["email_verified"] = false.into()).await, refused);
    let silent = claimed(&staged, |claims| drop(claims.as_object_mut().unwrap().remove("email_verified"))).await;
    assert_eq!(silent, refused);
    staged.use_claim("preferred_username");
    let another = claimed(&staged, |claims| {
        claims["email_verified"] = false.into();
        claims["preferred_username"] = "ada".into();
    });
    assert_eq!(another.await, Ok(()));
}

#[tokio::test]
async fn a_claim_that_is_missing_or_no_name_is_refused() {
    let staged = Staged::start().await;
    staged.use_claim("login");
    for value in
        [json!(null), json!(7), json!(["ada"]), json!(""), json!(" ada"), json!("a\nda"), json!("x".repeat(101))]
    {
        let refused = claimed(&staged, |claims| claims["login"] = value.clone()).await;
        assert_eq!(refused, Err(OidcError::Claim), "{value}");
    }
    assert_eq!(claimed(&staged, |_| ()).await, Err(OidcError::Claim));
}

#[tokio::test]
async fn a_code_that_is_not_taken_is_told_from_a_client_that_is_not() {
    let staged = Staged::start().await;
    assert_eq!(exchanged(&staged, 400, r#"{"error": "invalid_grant"}"#).await, Err(OidcError::Code));
    assert_eq!(exchanged(&staged, 401, r#"{"error": "invalid_client"}"#).await, Err(OidcError::Client));
}

#[tokio::test]
async fn an_exchange_that_ends_in_no_token_is_refused() {
    let staged = Staged::start().await;
    let no_id_token = r#"{"access_token": "x", "token_type": "Bearer"}"#;
    let no_token = r#"{"access_token": "x", "token_type": "Bearer", "id_token": "e30.e30.e30"}"#;
    for (status, body) in [(200, no_id_token), (200, no_token), (200, "{}"), (200, ""), (302, ""), (503, "<html>")] {
        assert_eq!(exchanged(&staged, status, body).await, Err(OidcError::Unusable), "{status} {body}");
    }
    let endless = format!(r#"{{"access_token": "{}"}}"#, "x".repeat(1024 * 1024));
    assert_eq!(exchanged(&staged, 200, &endless).await, Err(OidcError::Away));
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_to_another_machine() {
    let staged = Staged::start().await;
    for member in ["authorization_endpoint", "token_endpoint"] {
        let before = staged.told().metadata[member].clone();
        staged.describe(member, "http://accounts.example.com/".into());
        assert_eq!(claimed(&staged, |_| ()).await, Err(OidcError::Unusable), "{member}");
        staged.describe(member, before);
    }
    staged.describe("jwks_uri", "http://accounts.example.com/".into());
    assert_eq!(claimed(&staged, |_| ()).await, Err(OidcError::Away));
}

#[tokio::test]
async fn what_a_person_reads_holds_nothing_of_the_token() {
    let staged = Staged::start().await;
    let error = claimed(&staged, |claims| claims["aud"] = "<b>another</b>".into()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "What the sign-in provider says about you cannot be accepted: it is meant for another service. Begin again."
    );
}
