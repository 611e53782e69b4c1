//! Waiting for a server that was just started: ask until it answers 200, for a bounded time.

use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};

const ASK_EVERY: Duration = Duration::from_millis(50);
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// A server did not become healthy in time.
#[derive(Debug, thiserror::Error)]
#[error("{url} did not answer 200 within {} s; last: {last}", after.as_secs())]
pub struct Unhealthy {
    /// Where it was asked.
    pub url: String,
    /// For how long.
    pub after: Duration,
    /// What came last: a status or an error.
    pub last: String,
}

/// An HTTP client for loopback: it ignores proxy settings of the environment.
///
/// # Panics
///
/// Never in practice: without TLS and proxies the client has nothing to load that could fail.
pub fn client() -> Client {
    match Client::builder().no_proxy().build() {
        Ok(client) => client,
        Err(error) => unreachable!("an HTTP client without TLS needs nothing: {error}"),
    }
}

/// Asks `url` until it answers 200.
///
/// # Errors
///
/// [`Unhealthy`] when it has not done so after `patience`.
pub async fn wait_until_ok(url: &str, patience: Duration) -> Result<(), Unhealthy> {
    let client = client();
    let started = Instant::now();
    loop {
        let last = match client.get(url).timeout(ASK_TIMEOUT).send().await {
            Ok(response) if response.status() == StatusCode::OK => return Ok(()),
            Ok(response) => format!("status {}", response.status()),
            Err(error) => describe(&error),
        };
        if started.elapsed() >= patience {
            return Err(Unhealthy { url: url.to_owned(), after: patience, last });
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// An error with its causes: the outermost alone seldom says what happened.
pub fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_silent_port_is_reported_with_its_address() {
        let port = crate::ports::free_ports(1).unwrap()[0];
        let url = format!("http://127.0.0.1:{port}/healthz");
        let error = wait_until_ok(&url, Duration::from_millis(120)).await.unwrap_err();
        assert!(error.to_string().starts_with(&url), "{error}");
    }
}
