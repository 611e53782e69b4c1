//! The demo's settings, from the environment; design.md section 7 names them.
//!
//! Nothing is guessed: a value that cannot be used is an error that names the variable. An empty one counts as unset.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::ports::PortNeed;

/// The shortest operator token that the control plane accepts, in characters.
const OPERATOR_TOKEN_CHARACTERS_MIN: usize = 32;

/// The settings of one run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `PORTCULLIS_LISTEN`: console and admin API.
    pub listen: SocketAddr,
    /// `PORTCULLIS_SYNC_LISTEN`: sync and usage, for filters.
    pub sync_listen: SocketAddr,
    /// `ENVOY_PORT`, on 127.0.0.1.
    pub envoy: SocketAddr,
    /// `ENVOY_ADMIN_PORT`, on 127.0.0.1.
    pub envoy_admin: SocketAddr,
    /// `UPSTREAM_PORT`, on 127.0.0.1.
    pub upstream: SocketAddr,
    /// `PORTCULLIS_DATA_DIR`.
    pub data_dir: PathBuf,
    /// `PORTCULLIS_BOOTSTRAP_TOKEN`, where it is set.
    pub operator_token: Option<OperatorToken>,
}

/// An operator's token; `Debug` does not show it.
#[derive(Clone)]
pub struct OperatorToken(String);

impl OperatorToken {
    /// Takes a token that is long enough.
    ///
    /// # Errors
    ///
    /// [`SettingsError::ShortToken`].
    pub fn new(token: String) -> Result<Self, SettingsError> {
        if token.chars().count() < OPERATOR_TOKEN_CHARACTERS_MIN {
            return Err(SettingsError::ShortToken);
        }
        Ok(Self(token))
    }

    /// The token itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for OperatorToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("OperatorToken(…)")
    }
}

/// A setting cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not an address.
    #[error("{name}={value} is not an address with a port, like 127.0.0.1:8080")]
    Address {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: String,
    },
    /// Not a port.
    #[error("{name}={value} is not a port, 1 to 65535")]
    Port {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: String,
    },
    /// Too short to be safe. The value is a secret, so it is not shown.
    #[error(
        "the operator's token (PORTCULLIS_BOOTSTRAP_TOKEN) must have {OPERATOR_TOKEN_CHARACTERS_MIN} characters or more"
    )]
    ShortToken,
}

impl Settings {
    /// Reads the settings; `lookup` is the environment.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] for the first that cannot be used.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let set = |name: &'static str| lookup(name).filter(|value| !value.is_empty());
        Ok(Self {
            listen: address("PORTCULLIS_LISTEN", set("PORTCULLIS_LISTEN"), 8080)?,
            sync_listen: address("PORTCULLIS_SYNC_LISTEN", set("PORTCULLIS_SYNC_LISTEN"), 8081)?,
            envoy: port("ENVOY_PORT", set("ENVOY_PORT"), 10000)?,
            envoy_admin: port("ENVOY_ADMIN_PORT", set("ENVOY_ADMIN_PORT"), 9901)?,
            upstream: port("UPSTREAM_PORT", set("UPSTREAM_PORT"), 9000)?,
            data_dir: set("PORTCULLIS_DATA_DIR").map_or_else(|| PathBuf::from("./data"), PathBuf::from),
            operator_token: set("PORTCULLIS_BOOTSTRAP_TOKEN").map(OperatorToken::new).transpose()?,
        })
    }

    /// Every port that the run needs.
    pub fn port_needs(&self) -> Vec<PortNeed> {
        let need = |what, setting, address: SocketAddr, example: String| PortNeed { what, address, setting, example };
        let other = |address: SocketAddr| address.port().checked_add(1).unwrap_or(1024);
        let address =
            |what, setting, at: SocketAddr| need(what, setting, at, SocketAddr::new(at.ip(), other(at)).to_string());
        let port = |what, setting, at: SocketAddr| need(what, setting, at, other(at).to_string());
        vec![
            address("the admin API", "PORTCULLIS_LISTEN", self.listen),
            address("the sync port", "PORTCULLIS_SYNC_LISTEN", self.sync_listen),
            port("Envoy", "ENVOY_PORT", self.envoy),
            port("Envoy's admin port", "ENVOY_ADMIN_PORT", self.envoy_admin),
            port("the sample upstream", "UPSTREAM_PORT", self.upstream),
        ]
    }
}

fn address(name: &'static str, value: Option<String>, default_port: u16) -> Result<SocketAddr, SettingsError> {
    let Some(value) = value else {
        return Ok(([127, 0, 0, 1], default_port).into());
    };
    match value.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => Ok(address),
        Ok(_) | Err(_) => Err(SettingsError::Address { name, value }),
    }
}

fn port(name: &'static str, value: Option<String>, default: u16) -> Result<SocketAddr, SettingsError> {
    let port = match value {
        None => default,
        Some(value) => match value.parse::<u16>() {
            Ok(port) if port != 0 => port,
            Ok(_) | Err(_) => return Err(SettingsError::Port { name, value }),
        },
    };
    Ok(([127, 0, 0, 1], port).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(|name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned()))
    }

    #[test]
    fn the_defaults_are_the_contract() {
        let settings = read(&[("ENVOY_PORT", "")]).unwrap();
        let ports: Vec<String> = settings.port_needs().iter().map(|need| need.address.to_string()).collect();
        let expected = ["127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:10000", "127.0.0.1:9901", "127.0.0.1:9000"];
        assert_eq!(ports, expected);
        assert_eq!(settings.data_dir, PathBuf::from("./data"));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let error = read(&[("PORTCULLIS_LISTEN", "8080")]).unwrap_err().to_string();
        assert!(error.starts_with("PORTCULLIS_LISTEN=8080"), "{error}");
        for wrong in ["0", "65536", "http"] {
            let error = read(&[("UPSTREAM_PORT", wrong)]).unwrap_err();
            assert_eq!(error, SettingsError::Port { name: "UPSTREAM_PORT", value: wrong.to_owned() });
        }
    }

    #[test]
    fn a_short_operator_token_is_refused_and_not_shown() {
        let error = read(&[("PORTCULLIS_BOOTSTRAP_TOKEN", "hunter2")]).unwrap_err();
        assert_eq!(error, SettingsError::ShortToken);
        let token = "t".repeat(OPERATOR_TOKEN_CHARACTERS_MIN);
        let settings = read(&[("PORTCULLIS_BOOTSTRAP_TOKEN", &token)]).unwrap();
        assert_eq!(settings.operator_token.as_ref().unwrap().reveal(), token);
        assert!(!format!("{settings:?}").contains(&token));
    }
}
