//! The settings of `portcullis serve`, from flags and environment.
//!
//! Everything is read and checked before anything is started: a wrong setting ends the program with one line
//! that says which, and exit code 2.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use clap::Args;
use portcullis_core::digest::Digest;
use portcullis_core::key::Brand;

use super::database::{DatabaseArgs, DatabaseUrlError};
use crate::bearer::TOKEN_BYTES_MAX;
use crate::domain::public_url::{PublicUrl, PublicUrlError};
use crate::logging::LogFormat;
use crate::oidc;
use crate::storage::Location;

/// The shortest bootstrap token.
const TOKEN_BYTES_MIN: usize = 32;
/// For how many days hourly usage can be kept: a day, and ten years.
const USAGE_HOURS_DAYS: RangeInclusive<u32> = 1..=3_660;
/// The variable with the bootstrap token.
pub const BOOTSTRAP_TOKEN: &str = "PORTCULLIS_BOOTSTRAP_TOKEN";

/// What the command line and the environment say, unchecked.
#[derive(Debug, Args)]
pub struct Serve {
    /// Address of the admin API.
    #[arg(long, env = "PORTCULLIS_LISTEN", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Address of the sync port, for filters.
    #[arg(long, env = "PORTCULLIS_SYNC_LISTEN", default_value = "127.0.0.1:8081")]
    sync_listen: String,
    #[command(flatten)]
    database: DatabaseArgs,
    /// First part of every key: 1 to 10 characters of a-z and 0-9.
    #[arg(long, env = "PORTCULLIS_BRAND", default_value = "pc")]
    brand: String,
    /// For how many days usage is kept by the hour, 1 to 3660. By the day and by the month it is kept for good.
    #[arg(long, env = "PORTCULLIS_USAGE_HOURS_DAYS", default_value = "31")]
    usage_hours_days: String,
    /// Address of the console as browsers see it: scheme and host, without a path.
    #[arg(long, env = "PORTCULLIS_PUBLIC_URL")]
    public_url: Option<String>,
    /// Address at which callers reach the gateway: scheme and host, without a path. The console shows it.
    #[arg(long, env = "PORTCULLIS_GATEWAY_URL")]
    gateway_url: Option<String>,
    #[command(flatten)]
    oidc: OidcArgs,
    /// Format of the log lines on standard error.
    #[arg(long, env = "PORTCULLIS_LOG_FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// Which log lines to write, as in RUST_LOG.
    #[arg(long, env = "PORTCULLIS_LOG", default_value = "info")]
    log: String,
}

/// Who else signs people in to the console. The client's secret comes by the environment alone.
#[derive(Debug, Args)]
struct OidcArgs {
    /// The OpenID Connect provider that signs people in: its issuer, as it writes it itself.
    #[arg(long, env = "PORTCULLIS_OIDC_ISSUER")]
    oidc_issuer: Option<String>,
    /// What this provider calls the console.
    #[arg(long, env = "PORTCULLIS_OIDC_CLIENT_ID")]
    oidc_client_id: Option<String>,
    /// The claim of its ID tokens that is a user's name here; email has to be verified.
    #[arg(long, env = "PORTCULLIS_OIDC_CLAIM", default_value = "email")]
    oidc_claim: String,
    /// What the button for it says.
    #[arg(long, env = "PORTCULLIS_OIDC_LABEL", default_value = "Single sign-on")]
    oidc_label: String,
}

impl OidcArgs {
    fn texts(self, client_secret: Option<OsString>) -> oidc::Texts {
        oidc::Texts {
            issuer: self.oidc_issuer,
            client_id: self.oidc_client_id,
            client_secret,
            claim: self.oidc_claim,
            label: self.oidc_label,
        }
    }
}

/// What the environment alone says, for every user of a machine can read a command line.
#[derive(Default)]
pub struct Secrets {
    /// [`BOOTSTRAP_TOKEN`].
    pub bootstrap_token: Option<OsString>,
    /// [`oidc::CLIENT_SECRET`].
    pub oidc_client_secret: Option<OsString>,
}

impl Secrets {
    /// Reads this process's environment.
    pub fn from_environment() -> Self {
        Self {
            bootstrap_token: std::env::var_os(BOOTSTRAP_TOKEN),
            oidc_client_secret: std::env::var_os(oidc::CLIENT_SECRET),
        }
    }
}

/// Settings that have been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the admin API listens.
    pub listen: SocketAddr,
    /// Where the sync port listens.
    pub sync_listen: SocketAddr,
    /// Where the database is.
    pub database: Location,
    /// The digest of the bootstrap token, if one is set. The token itself goes no further than here.
    pub bootstrap_token: Option<Digest>,
    /// The brand of the keys that are issued.
    pub brand: Brand,
    /// For how many days usage is kept by the hour.
    pub usage_hours_days: u32,
    /// Where browsers reach the console, if it is known.
    pub public_url: Option<PublicUrl>,
    /// Where callers reach the gateway, if it is known.
    pub gateway_url: Option<PublicUrl>,
    /// Who else signs people in to the console, if anybody.
    pub oidc: Option<oidc::Settings>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines are written.
    pub log: String,
}

/// Why the settings are no good. Never says what a secret was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not an address.
    #[error("{variable}: {value:?} is no address of the form 127.0.0.1:8080")]
    Address {
        /// Which setting.
        variable: &'static str,
        /// What it is set to.
        value: String,
    },
    /// Not a database that can be opened.
    #[error(transparent)]
    Database(#[from] DatabaseUrlError),
    /// Not a token that can be used.
    #[error("{BOOTSTRAP_TOKEN}: expected {TOKEN_BYTES_MIN} to {TOKEN_BYTES_MAX} visible ASCII characters")]
    BootstrapToken,
    /// Not a brand.
    #[error("PORTCULLIS_BRAND: a brand is 1 to 10 characters of a-z and 0-9")]
    Brand,
    /// Not a number of days.
    #[error("PORTCULLIS_USAGE_HOURS_DAYS: expected {} to {}", USAGE_HOURS_DAYS.start(), USAGE_HOURS_DAYS.end())]
    UsageHoursDays,
    /// Not an address by which others find something.
    #[error("{variable}: {error}")]
    Public {
        /// Which setting.
        variable: &'static str,
        /// What it should be.
        error: PublicUrlError,
    },
    /// Not a provider that signs people in.
    #[error(transparent)]
    Oidc(#[from] oidc::SettingsError),
    /// Not a filter of log lines.
    #[error("PORTCULLIS_LOG: {0}")]
    Log(String),
}

impl Settings {
    /// Checks what the command line and the environment say.
    pub fn read(serve: Serve, secrets: Secrets) -> Result<Self, SettingsError> {
        let address = |variable, value: String| value.parse().map_err(|_| SettingsError::Address { variable, value });
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&serve.log) {
            return Err(SettingsError::Log(error.to_string()));
        }
        let public_url = public("PORTCULLIS_PUBLIC_URL", serve.public_url)?;
        let oidc = oidc::Settings::read(serve.oidc.texts(secrets.oidc_client_secret), public_url.as_ref())?;
        Ok(Self {
            listen: address("PORTCULLIS_LISTEN", serve.listen)?,
            sync_listen: address("PORTCULLIS_SYNC_LISTEN", serve.sync_listen)?,
            database: serve.database.location()?,
            bootstrap_token: secrets.bootstrap_token.map(token_digest).transpose()?,
            brand: serve.brand.parse().map_err(|_| SettingsError::Brand)?,
            usage_hours_days: days(&serve.usage_hours_days).ok_or(SettingsError::UsageHoursDays)?,
            public_url,
            gateway_url: public("PORTCULLIS_GATEWAY_URL", serve.gateway_url)?,
            oidc,
            log_format: serve.log_format,
            log: serve.log,
        })
    }
}

fn public(variable: &'static str, text: Option<String>) -> Result<Option<PublicUrl>, SettingsError> {
    text.map(|text| text.parse().map_err(|error| SettingsError::Public { variable, error })).transpose()
}

fn days(text: &str) -> Option<u32> {
    text.parse().ok().filter(|days| USAGE_HOURS_DAYS.contains(days))
}

fn token_digest(token: OsString) -> Result<Digest, SettingsError> {
    let token = token.into_encoded_bytes();
    let fits = (TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&token.len());
    (fits && token.iter().all(u8::is_ascii_graphic)).then(|| Digest::of(&token)).ok_or(SettingsError::BootstrapToken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    fn read(arguments: &[&str], token: Option<&str>) -> Result<Settings, SettingsError> {
        read_with(arguments, Secrets { bootstrap_token: token.map(OsString::from), ..Secrets::default() })
    }

    fn read_with(arguments: &[&str], secrets: Secrets) -> Result<Settings, SettingsError> {
        let arguments = ["portcullis", "serve"].iter().chain(arguments);
        let Command::Serve(serve) = Cli::try_parse_from(arguments).unwrap().command else { panic!("another command") };
        Settings::read(serve, secrets)
    }

    #[test]
    fn a_database_is_a_sqlite_file_or_a_postgresql_address() {
        let file = |url| read(&["--database-url", url], None).map(|settings| settings.database);
        let sqlite = |path: &str| Location::Sqlite(path.into());
        assert_eq!(file("sqlite:///var/p.db"), Ok(sqlite("/var/p.db")));
        assert_eq!(file("sqlite://p.db"), Ok(sqlite("p.db")));
        assert_eq!(read(&["--data-dir", "/d"], None).unwrap().database, sqlite("/d/portcullis.db"));
        let postgres = file("postgres://ada:secret@db.example:5433/keys").unwrap();
        assert_eq!(postgres.to_string(), "postgres://db.example:5433/keys");
        assert!(!format!("{postgres:?}").contains("secret"));
        for url in
            ["mysql://x/y", "postgres:x", "sqlite:", "sqlite://", "p.db", "sqlite://:memory:", "sqlite://a?mode=ro"]
        {
            assert_eq!(file(url), Err(SettingsError::Database(DatabaseUrlError)), "{url}");
        }
    }

    #[test]
    fn a_weak_bootstrap_token_is_refused_and_not_repeated() {
        let long = "x".repeat(513);
        let spaced = format!("{} {}", "x".repeat(20), "y".repeat(20));
        for token in ["", "short", &"x".repeat(31), &long, &spaced, "é".repeat(32).as_str()] {
            let error = read(&[], Some(token)).unwrap_err();
            assert_eq!(error, SettingsError::BootstrapToken);
            assert!(token.is_empty() || !error.to_string().contains(token));
        }
        let token = "x".repeat(32);
        let settings = read(&[], Some(&token)).unwrap();
        assert_eq!(settings.bootstrap_token, Some(Digest::of(token.as_bytes())));
    }

    #[test]
    fn other_settings_are_checked_too() {
        assert!(matches!(read(&["--listen", "8080"], None), Err(SettingsError::Address { .. })));
        assert_eq!(read(&["--brand", "My-Brand"], None), Err(SettingsError::Brand));
        for days in ["0", "3661", "-1", "month", ""] {
            let argument = format!("--usage-hours-days={days}");
            assert_eq!(read(&[&argument], None), Err(SettingsError::UsageHoursDays), "{days}");
        }
        let days = |arguments: &[&str]| read(arguments, None).unwrap().usage_hours_days;
        assert_eq!((days(&[]), days(&["--usage-hours-days", "7"])), (31, 7));
        assert!(matches!(read(&["--log", "a=b=c"], None), Err(SettingsError::Log(_))));
    }
    #[test]
    fn addresses_that_others_see_are_origins() {
        let settings =
            read(&["--public-url", "https://Keys.example.com/", "--gateway-url", "http://[::1]:10000"], None);
        let settings = settings.unwrap();
        assert_eq!(settings.public_url.unwrap().origin(), "https://keys.example.com");
        assert_eq!(settings.gateway_url.unwrap().origin(), "http://[::1]:10000");
        for flag in ["--public-url", "--gateway-url"] {
            let error = read(&[flag, "https://ada:hunter2@keys.example.com"], None).unwrap_err();
            assert!(matches!(error, SettingsError::Public { .. }), "{error}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn single_sign_on_is_off_or_complete() {
        let secrets = || Secrets { oidc_client_secret: Some("hunter2".into()), ..Secrets::default() };
        let provider = ["--oidc-issuer", "https://accounts.example.com", "--oidc-client-id", "portcullis"];
        let complete = [&provider[..], &["--public-url", "https://keys.example.com"]].concat();
        let oidc = read_with(&complete, secrets()).unwrap().oidc.unwrap();
        assert_eq!((oidc.claim.as_str(), oidc.label.as_str()), ("email", "Single sign-on"));
        assert_eq!(read(&[], None).unwrap().oidc, None);
        for arguments in [&[][..], &provider, &provider[..2], &provider[2..]] {
            let error = read_with(arguments, secrets()).unwrap_err();
            assert!(matches!(error, SettingsError::Oidc(_)), "{error}");
        }
    }
}
