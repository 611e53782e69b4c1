//! `portcullis token`: access tokens, without a server and without another token.

use std::io::{self, Write as _};
use std::time::Duration;

use clap::{Args, Subcommand};
use portcullis_core::key::{Brand, Kind};

use super::database::{DatabaseArgs, open_existing};
use super::failure::Failure;
use crate::domain::name::Name;
use crate::domain::timestamp::Timestamp;
use crate::storage::NewToken;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What to do with access tokens.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Create an access token, and print it once.
    ///
    /// Standard output is the token and nothing else. May run beside a server, where the token works at once.
    Create(Create),
}

/// What to create.
#[derive(Debug, Args)]
pub struct Create {
    /// What the token is for.
    name: String,
    /// Whose it is: the user's name. It may do what they may do.
    #[arg(long)]
    user: String,
    /// In how many days it ends. Without an end it never does.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500),
          conflicts_with = "expires_at")]
    expires_in: Option<u32>,
    /// When it ends, such as 2027-01-31T00:00:00Z.
    #[arg(long, value_name = "RFC3339", value_parser = Timestamp::parse)]
    expires_at: Option<Timestamp>,
    /// First part of every key: 1 to 10 characters of a-z and 0-9.
    #[arg(long, env = "PORTCULLIS_BRAND", default_value = "pc")]
    brand: Brand,
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Token {
    /// Does it.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run().await,
        }
    }
}

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let name = Name::parse(&self.name).map_err(|error| Failure::Argument(error.to_string()))?;
        let store = open_existing(self.database.location()?).await?;
        let secret = store.entropy().key(&self.brand, Kind::Access)?;
        let mut write = store.write(None).await?;
        let now = write.now();
        let expires_at = self.expires_in.map(|days| now.after(DAY * days)).or(self.expires_at);
        if expires_at.is_some_and(|end| end <= now) {
            return Err(Failure::Argument("the expiry must lie in the future".to_owned()));
        }
        let owner = write.view().user_named(&self.user).await?;
        let (owner, _) = owner.ok_or_else(|| Failure::Refused(format!("there is no user {:?}", self.user)))?;
        write.create_token(&owner, NewToken { name, expires_at }, &secret).await?;
        write.commit().await?;
        store.close().await?;
        writeln!(io::stdout(), "{}", secret.reveal())?;
        Ok(())
    }
}
