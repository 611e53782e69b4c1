//! `/v1/sessions`: sign in. Signing out is `DELETE /v1/tokens/{id}`.

pub mod create;

use std::net::IpAddr;
use std::time::Duration;

use portcullis_core::id::TokenId;
use portcullis_core::key::{Kind, PlainKey};

use super::App;
use super::refusals::WriteError;
use crate::domain::name::Name;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::storage::{NewToken, StorageError, Write};

/// How long a session lasts.
pub const SESSION: Duration = Duration::from_secs(12 * 60 * 60);

/// The access token of a session of the user called `name`, whom somebody else has signed in; `None` if nobody here is
/// called so.
pub async fn open_vouched(app: &App, name: &Name, origin: Option<IpAddr>) -> Result<Option<PlainKey>, WriteError> {
    let token = app.store.entropy().key(&app.brand, Kind::Access)?;
    let mut write = app.store.write(None).await?;
    let Some((user, _)) = write.view().user_named(name.as_str()).await? else {
        return Ok(None);
    };
    open(&mut write, &user, &token, origin).await?;
    write.commit().await?;
    Ok(Some(token))
}

/// Makes `token` the access token of a new session; its id, and when it ends.
async fn open(
    write: &mut Write,
    user: &User,
    token: &PlainKey,
    origin: Option<IpAddr>,
) -> Result<(TokenId, Timestamp), StorageError> {
    let expires_at = write.now().after(SESSION);
    let new = NewToken { name: Name::session(), expires_at: Some(expires_at) };
    Ok((write.create_session(user, new, token, origin).await?.id, expires_at))
}
