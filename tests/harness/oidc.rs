//! An OpenID Connect provider that is not ours: `oidc-provider-mock`, on a free port of the loopback.
//!
//! It takes any client and any secret, signs with RS256, and lets whoever posts its form be whom they say.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use portcullis_demo::children::{ChildProcess, Launch, Tie};
use portcullis_demo::ports;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::Value;

use crate::house::program;

/// How long it may take until it answers: Python reads a lot before.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// The provider. Dropping it kills it.
#[derive(Debug)]
pub struct OidcProvider {
    issuer: String,
    http: Client,
    process: ChildProcess,
}

impl OidcProvider {
    /// Starts one that knows these people, each by claims with a `sub`. Its log goes to `folder`.
    pub async fn start(folder: &Path, people: &[Value]) -> Self {
        let port = ports::free_ports(1).expect("a free port")[0];
        let mut arguments: Vec<OsString> = ["-m", "oidc_provider_mock", "--port"].map(OsString::from).into();
        arguments.push(port.to_string().into());
        for claims in people {
            arguments.extend(["--user-claims".into(), claims.to_string().into()]);
        }
        let launch = Launch {
            name: "the OpenID Connect provider",
            program: program("PORTCULLIS_PYTHON"),
            arguments,
            environment: Vec::new(),
            log: folder.join("oidc-provider.log"),
            tie: Tie::Group,
        };
        let process = ChildProcess::start(&launch).unwrap_or_else(|error| panic!("{error}"));
        let http = Client::builder().no_proxy().redirect(Policy::none()).build().expect("an HTTP client");
        let provider = Self { issuer: format!("http://127.0.0.1:{port}"), http, process };
        provider.wait_until_it_answers().await;
        provider
    }

    async fn wait_until_it_answers(&self) {
        let url = format!("{}/.well-known/openid-configuration", self.issuer);
        let started = Instant::now();
        while !self.http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            let log = self.process.log_tail();
            assert!(started.elapsed() < START_PATIENCE, "the OpenID Connect provider does not answer:\n{log}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What it calls itself.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The settings of a control plane at `public_url` that has people signed in here.
    pub fn environment(&self, public_url: &str) -> Vec<(String, OsString)> {
        [
            ("PORTCULLIS_PUBLIC_URL", public_url),
            ("PORTCULLIS_OIDC_ISSUER", &self.issuer),
            ("PORTCULLIS_OIDC_CLIENT_ID", "portcullis"),
            ("PORTCULLIS_OIDC_CLIENT_SECRET", "the client's secret: 100% ours"),
            ("PORTCULLIS_OIDC_LABEL", "Sign in with Acme"),
        ]
        .map(|(name, value)| (name.to_owned(), value.into()))
        .into()
    }

    /// Signs somebody in at the address to which they were sent; returns the one to which they are sent back.
    pub async fn sign_in(&self, url: &str, subject: &str) -> String {
        self.post_form(url, format!("sub={subject}")).await
    }

    /// The same for somebody who does not want to.
    pub async fn decline(&self, url: &str) -> String {
        self.post_form(url, "action=deny".to_owned()).await
    }

    async fn post_form(&self, url: &str, form: String) -> String {
        let request = self.http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        let answer = request.send().await.expect("the provider answers");
        assert!(answer.status().is_redirection(), "{}:\n{}", answer.status(), self.process.log_tail());
        location(&answer)
    }
}

/// Where an answer leads.
pub fn location(answer: &Response) -> String {
    let location = answer.headers().get(LOCATION).expect("a Location");
    location.to_str().expect("text").to_owned()
}
