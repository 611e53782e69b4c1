//! What is measured: a way for a request through an Envoy, and the answer that must come.

use std::path::Path;

use super::answer::Answer;

/// An Envoy's filters before the router, and its routes.
#[derive(Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name, other than all others'.
    pub name: &'static str,
    /// What stands before the router.
    pub filters: Filters,
    /// Paths for which a filter has other settings, and those, as `typed_per_filter_config` in YAML's flow style.
    pub routes: &'static [(&'static str, &'static str)],
    /// How many keys its control plane has.
    pub keys: u32,
    /// What it asks about each request.
    pub service: Option<Protocol>,
}

/// What stands before the router.
#[derive(Debug, PartialEq, Eq)]
pub enum Filters {
    /// Portcullis, as in `envoy/envoy.yaml`.
    Portcullis(Build),
    /// In its place `floor.wat`: a filter that makes the same host calls and does nothing else.
    Floor,
    /// What Envoy has itself, each in YAML's flow style. [`SECRET`] stands for the key.
    Native(&'static [&'static str]),
}

/// What stands in a [`Filters::Native`] for the key that must be let in.
pub const SECRET: &str = "{{secret}}";

/// How the filter was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// As it is released.
    Released,
    /// Without counting what was used, to tell what that costs.
    Uncounted,
    /// Without telling the upstream who calls, for the same reason.
    Unintroduced,
    /// Another one, in this file: see [`super::beside`].
    Other(&'static Path),
}

/// How Envoy asks an authorization service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// A request for each, over HTTP/1.1.
    Http,
    /// A call for each, over HTTP/2.
    Grpc,
}

/// A way for a request through an Envoy.
#[derive(Debug, Clone, Copy)]
pub struct Variant {
    /// Its name in JSON and on the command line.
    pub key: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// Through which Envoy.
    pub chain: &'static Chain,
    /// How many workers that Envoy has.
    pub workers: u32,
    /// The method of its requests.
    pub method: &'static str,
    /// The path that is asked for.
    pub path: &'static str,
    /// What its requests show.
    pub credential: Credential,
    /// What each answer must be.
    pub answer: Answer,
    /// The variant of as many workers that does the same without a limit, to tell what the limit costs.
    pub unlimited: Option<&'static str>,
}

/// What a request shows for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A key that opens the path; each of many in turn, where there are many.
    Valid,
    /// None.
    Missing,
    /// A text that is no key, as its check characters are wrong.
    Malformed,
    /// A key that was never issued.
    Unknown,
}

impl Chain {
    /// Portcullis before so many keys.
    pub const fn portcullis(name: &'static str, build: Build, keys: u32) -> Self {
        Self { name, filters: Filters::Portcullis(build), routes: &[], keys, service: None }
    }

    /// What Envoy has itself.
    pub const fn native(name: &'static str, filters: &'static [&'static str]) -> Self {
        Self { name, filters: Filters::Native(filters), routes: &[], keys: 1, service: None }
    }

    /// Whether it is one that lets in nobody but the holder of the key.
    pub fn asks_for_key(&self) -> bool {
        let is_set = |filters: &[&str]| filters.iter().any(|filter| filter.contains(SECRET));
        self.service.is_some() || matches!(self.filters, Filters::Native(filters) if is_set(filters))
    }

    /// Whether it is Portcullis.
    pub const fn is_portcullis(&self) -> bool {
        matches!(self.filters, Filters::Portcullis(_))
    }
}

impl Variant {
    /// Requests with a key for this path, which one worker lets pass.
    pub const fn new(key: &'static str, label: &'static str, chain: &'static Chain, path: &'static str) -> Self {
        Self {
            key,
            label,
            chain,
            workers: 1,
            method: "GET",
            path,
            credential: Credential::Valid,
            answer: Answer::PLAIN,
            unlimited: None,
        }
    }

    /// The same with this answer.
    pub const fn answered(self, answer: Answer) -> Self {
        Self { answer, ..self }
    }

    /// The same to be compared with one that has no limit.
    pub const fn over(self, unlimited: &'static str) -> Self {
        Self { unlimited: Some(unlimited), ..self }
    }

    /// The same with another credential, which is refused.
    pub const fn showing(self, credential: Credential) -> Self {
        Self { credential, answer: Answer::UNAUTHORIZED, ..self }
    }

    /// The same as a `POST`.
    pub const fn posting(self) -> Self {
        Self { method: "POST", ..self }
    }

    /// The same with so many workers.
    pub const fn with_workers(self, workers: u32) -> Self {
        Self { workers, ..self }
    }

    /// Whether its answers are as large as bare Envoy's, so that what it is over that says something.
    pub fn is_plain(&self) -> bool {
        self.method == "GET"
    }
}
