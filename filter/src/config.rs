//! The plugin configuration: JSON, checked whole before Envoy accepts it.
//!
//! It holds no secret, because Envoy shows it in `/config_dump`: the gateway's token comes from the
//! environment, through `host_env_keys` of the virtual machine's configuration. A configuration that is wrong
//! in any way is refused, and Envoy then refuses the listener or keeps the one before.

use std::ops::RangeInclusive;

use portcullis_core::decide::Rules;
use portcullis_core::key::Brand;
use portcullis_core::path::SafePath;
use serde::Deserialize;

/// A checked configuration.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The Envoy cluster of the control plane's sync port.
    pub cluster: String,
    /// The gateway's token.
    pub token: String,
    /// What requests are judged by besides the key set.
    pub rules: Rules,
    /// The realm of challenges.
    pub realm: String,
    /// How long a request waits for the first key set, in milliseconds.
    pub hold_ms: u32,
    /// How often a worker reports what it has counted, in milliseconds.
    pub report_interval_ms: u32,
}

/// The shortest and the longest `report_interval_ms`.
const REPORT_INTERVAL_MS: RangeInclusive<u32> = 100..=60_000;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the plugin configuration is not understood: {0}")]
    Json(#[from] serde_json::Error),
    #[error("`cluster` must name the Envoy cluster of the control plane's sync port")]
    Cluster,
    #[error("`realm` may hold printable ASCII without quotation marks and backslashes")]
    Realm,
    #[error("`exempt_paths` holds {0:?}, which is not a plain path")]
    ExemptPath(String),
    #[error("`report_interval_ms` is 100 to 60000, not {0}")]
    ReportInterval(u32),
    #[error(
        "the environment variable {0}, which must hold the gateway's token, is missing, empty or not printable: is \
         it listed in vm_config.environment_variables.host_env_keys?"
    )]
    Token(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    cluster: String,
    #[serde(default)]
    brand: Brand,
    #[serde(default = "default_realm")]
    realm: String,
    #[serde(default = "default_hold_ms")]
    hold_ms: u32,
    #[serde(default = "default_report_interval_ms")]
    report_interval_ms: u32,
    #[serde(default)]
    exempt_paths: Vec<String>,
    #[serde(default = "default_token_env")]
    token_env: String,
}

fn default_realm() -> String {
    "portcullis".to_owned()
}

const fn default_hold_ms() -> u32 {
    2_000
}

const fn default_report_interval_ms() -> u32 {
    5_000
}

fn default_token_env() -> String {
    "PORTCULLIS_GATEWAY_TOKEN".to_owned()
}

impl Config {
    /// Reads a configuration. `environment` looks a variable up.
    pub fn read(json: &[u8], environment: impl FnOnce(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let document: Document = serde_json::from_slice(json)?;
        if document.cluster.is_empty() {
            return Err(ConfigError::Cluster);
        }
        if !is_printable(&document.realm) || document.realm.contains(['"', '\\']) {
            return Err(ConfigError::Realm);
        }
        let plain =
            |path: &&String| SafePath::read(path.as_bytes()).is_ok_and(|safe| safe.as_bytes() == path.as_bytes());
        if let Some(path) = document.exempt_paths.iter().find(|path| !plain(path)) {
            return Err(ConfigError::ExemptPath(path.clone()));
        }
        if !REPORT_INTERVAL_MS.contains(&document.report_interval_ms) {
            return Err(ConfigError::ReportInterval(document.report_interval_ms));
        }
        let token = environment(&document.token_env)
            .filter(|token| !token.is_empty() && is_printable(token))
            .ok_or(ConfigError::Token(document.token_env))?;
        Ok(Self {
            cluster: document.cluster,
            token,
            rules: Rules { brand: document.brand, exempt_paths: document.exempt_paths },
            realm: document.realm,
            hold_ms: document.hold_ms,
            report_interval_ms: document.report_interval_ms,
        })
    }
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
