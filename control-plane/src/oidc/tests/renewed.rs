//! When the provider is asked again what it is.

use super::staged::{Staged, signed_in};
use crate::oidc::{OidcError, Provider, TokenFault};

async fn sign_in(staged: &Staged, provider: &Provider) -> Result<(), OidcError> {
    let begun = provider.begin().await?;
    let answer = staged.answer(&begun.url, |_| ());
    provider.finish(begun.pending, &answer).await.map(|_| ())
}

#[tokio::test]
async fn a_provider_is_asked_once_an_hour() {
    let staged = Staged::start().await;
    let provider = staged.provider("email");
    assert_eq!(staged.told().descriptions_read, 0, "nothing is asked before somebody signs in");
    for _ in 0..3 {
        provider.clone().begin().await.unwrap();
    }
    staged.pass(60 * 60 - 1);
    provider.begin().await.unwrap();
    assert_eq!(staged.told().descriptions_read, 1);
    staged.pass(1);
    provider.begin().await.unwrap();
    assert_eq!(staged.told().descriptions_read, 2);
}

#[tokio::test]
async fn many_who_come_at_once_ask_once() {
    let staged = Staged::start().await;
    let provider = staged.provider("email");
    let begun = futures_util::future::join_all((0..20).map(|_| provider.begin())).await;
    assert!(begun.iter().all(Result::is_ok));
    assert_eq!(staged.told().descriptions_read, 1);
}

#[tokio::test]
async fn a_key_that_is_not_known_yet_is_looked_for_once() {
    let staged = Staged::start().await;
    let provider = staged.provider("email");
    assert_eq!(sign_in(&staged, &provider).await, Ok(()));
    staged.told().key = (2, "two");
    assert_eq!(sign_in(&staged, &provider).await, Err(OidcError::Token(TokenFault::Signature)));
    assert_eq!(staged.told().descriptions_read, 2);
    staged.told().known_keys.push((2, "two"));
    assert_eq!(sign_in(&staged, &provider).await, Ok(()));
    assert_eq!(staged.told().descriptions_read, 3);
    staged.told().known_keys.remove(0);
    assert_eq!(sign_in(&staged, &provider).await, Ok(()));
    assert_eq!(staged.told().descriptions_read, 3);
}

#[tokio::test]
async fn a_provider_that_was_away_is_found_when_it_is_back() {
    let staged = Staged::start().await;
    let provider = staged.provider("email");
    let away = Staged::start().await;
    let absent = away.provider("email");
    drop(away);
    // The port is closed once the task has ended.
    tokio::task::yield_now().await;
    assert_eq!(absent.begin().await.map(|_| ()), Err(OidcError::Away));
    let issuer = staged.told().metadata["issuer"].clone();
    staged.describe("issuer", "http://127.0.0.1:1".into());
    assert_eq!(provider.begin().await.map(|_| ()), Err(OidcError::Unusable), "it names itself another");
    staged.describe("issuer", issuer);
    assert_eq!(provider.begin().await.map(|_| ()), Ok(()));
    assert!(signed_in(&staged, |_| ()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_keeps_nobody_longer_than_ten_seconds() {
    // A socket that accepts, by its backlog, and never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let staged = Staged::start().await;
    let address = listener.local_addr().unwrap();
    staged.describe("jwks_uri", format!("http://{address}/keys").into());
    let provider = staged.provider("email");
    let started = tokio::time::Instant::now();
    let begun = futures_util::future::join_all((0..3).map(|_| provider.begin())).await;
    assert!(begun.iter().all(|begun| matches!(begun, Err(OidcError::Away))));
    assert!(started.elapsed() <= std::time::Duration::from_secs(11), "{:?}", started.elapsed());
}
