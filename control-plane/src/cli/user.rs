//! `portcullis user`: users, without a server and without a token.

use std::io::{self, Read as _, Write as _};

use clap::{Args, Subcommand, ValueEnum};

use super::database::{DatabaseArgs, options};
use super::failure::Failure;
use crate::domain::environment::Entropy;
use crate::domain::name::Name;
use crate::domain::password::{self, PASSWORD_CHARACTERS_MAX, Password, PasswordHash};
use crate::domain::user::{Role, RoleName};
use crate::storage::{NewUser, Store, Write};

/// The most that is read from standard input: the longest password, of the longest characters, and the end of its line.
const PASSWORD_BYTES_MAX: usize = 4 * PASSWORD_CHARACTERS_MAX + 2;

/// What to do with users.
#[derive(Debug, Subcommand)]
pub enum User {
    /// Create a user, and print the id.
    ///
    /// May run beside a server. Before the first start it creates the database; the first start then prints no
    /// operator token if there is an operator with a password.
    Create(Create),
}

/// Whom to create.
#[derive(Debug, Args)]
pub struct Create {
    /// The name by which they sign in.
    name: String,
    /// What they may do.
    #[arg(long)]
    role: RoleArg,
    /// Where an admin or a member belongs, by id or name.
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
    /// Read their password from standard input, one line. Otherwise they have none, and need an access token.
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// The roles, as the command line has them.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArg {
    /// May do everything; belongs to no organization.
    Operator,
    /// Manages an organization's keys and users.
    Admin,
    /// Manages their own keys.
    Member,
}

impl From<RoleArg> for RoleName {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Operator => Self::Operator,
            RoleArg::Admin => Self::Admin,
            RoleArg::Member => Self::Member,
        }
    }
}

impl User {
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
        let location = self.database.location()?;
        let role = RoleName::from(self.role);
        let belongs = match role {
            RoleName::Operator => false,
            RoleName::Admin | RoleName::Member => true,
        };
        if belongs != self.organization.is_some() {
            let detail = "an admin or a member needs --organization, and an operator has none";
            return Err(Failure::Argument(detail.to_owned()));
        }
        let password_hash = if self.password_stdin { Some(hash_stdin(&name)?) } else { None };
        let store = Store::open(&options(location)).await?;
        let mut write = store.write(None).await?;
        let role = home(&mut write, role, self.organization.as_deref()).await?;
        let user = write.create_user(NewUser { name, role, password_hash }).await?;
        let user = user.ok_or_else(|| Failure::Refused("there is a user with this name already".to_owned()))?;
        write.commit().await?;
        store.close().await?;
        writeln!(io::stdout(), "{}", user.id)?;
        Ok(())
    }
}

/// The role with the organization in which it will hold.
async fn home(write: &mut Write, role: RoleName, organization: Option<&str>) -> Result<Role, Failure> {
    let organization = match organization {
        Some(reference) => {
            let found = write.view().organization_named(reference).await?;
            let missing = || Failure::Refused(format!("there is no organization {reference:?}"));
            Some(found.ok_or_else(missing)?.id)
        }
        None => None,
    };
    Role::new(role, organization).ok_or_else(|| Failure::Argument("the role does not fit".to_owned()))
}

/// The hash of the password on standard input, without the end of its line.
fn hash_stdin(name: &Name) -> Result<PasswordHash, Failure> {
    let mut text = String::new();
    let limit = u64::try_from(PASSWORD_BYTES_MAX + 1).unwrap_or(u64::MAX);
    io::stdin().lock().take(limit).read_to_string(&mut text)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.contains('\n') {
        return Err(Failure::Argument("the password on standard input is more than one line".to_owned()));
    }
    let password = Password::choose(line.to_owned(), name.as_str())?;
    Ok(password::hash(&password, &Entropy::system())?)
}
