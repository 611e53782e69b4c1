//! Requests to the provider: each ends within ten seconds, and no answer takes more than 1 MiB.
//!
//! Redirects are answers like others, and none of those that are expected: following one would send a client's secret
//! to wherever it points. Plain HTTP goes to this machine only, whatever address the provider names. With an issuer that is
//! reached by TLS nothing else is reached without it. Certificates are judged by what the operating system trusts.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use openidconnect::url::Url;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};

use super::settings::is_protected;

/// How long a request may take, from the connection to the end of the body.
pub const TIME: Duration = Duration::from_secs(10);
/// How long a body may be, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// It would have gone through a network in the clear.
    #[error("its address is neither https nor on this machine")]
    Unprotected,
    /// It took too long.
    #[error("no answer within {} s", TIME.as_secs())]
    TimedOut,
    /// There is no connection, or it broke.
    #[error("{0}")]
    Failed(String),
}

/// A client for one provider. Clones share it.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Http {
    /// A client for the provider with this address. Fails if there is need of certificates and the system has none.
    pub fn new(issuer: &Url) -> io::Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let connector = if issuer.scheme() == "https" {
            HttpsConnectorBuilder::new().with_provider_and_native_roots(provider)?.https_only()
        } else {
            HttpsConnectorBuilder::new().with_tls_config(trusting_nobody(provider)?).https_or_http()
        };
        // People sign in now and then: a connection that is kept would have been closed when it is needed.
        let client =
            Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector.enable_http1().build());
        Ok(Self { client })
    }

    async fn fetch(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let url = Url::parse(&request.uri().to_string()).map_err(|error| HttpError::Failed(error.to_string()))?;
        if !is_protected(&url) {
            return Err(HttpError::Unprotected);
        }
        let request = request.map(|body| Full::new(Bytes::from(body)));
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| failed(&error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|error| failed(&*error))?;
            Ok(HttpResponse::from_parts(head, body.to_bytes().into()))
        };
        tokio::time::timeout(TIME, exchange).await.unwrap_or(Err(HttpError::TimedOut))
    }
}

/// For a provider on this machine, whose own addresses are all plain HTTP.
fn trusting_nobody(provider: Arc<CryptoProvider>) -> io::Result<ClientConfig> {
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(io::Error::other)?;
    Ok(config.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// An error with all of its causes: the outermost alone says no more than that there was one.
fn failed(error: &(dyn std::error::Error + 'static)) -> HttpError {
    let causes = std::iter::successors(Some(error), |error| error.source());
    HttpError::Failed(causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.fetch(request))
    }
}
