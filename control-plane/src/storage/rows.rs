//! How ids, digests, instants and lists look in a row.

use portcullis_core::digest::{DIGEST_BYTES, Digest};
use portcullis_core::id::Id;
use portcullis_core::key::ApiKind;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StorageError;
use crate::domain::name::Name;
use crate::domain::timestamp::Timestamp;

/// An id as it is stored: ids are positive until the year 2089, and survive afterwards.
pub(super) fn from_id<K>(id: Id<K>) -> i64 {
    id.number().cast_signed()
}

pub(super) fn to_id<K>(number: i64) -> Id<K> {
    Id::from_number(number.cast_unsigned())
}

pub(super) fn from_instant(instant: Timestamp) -> i64 {
    instant.unix_ms().cast_signed()
}

/// Reads the columns of one table, so that an error can name it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns(pub(super) &'static str);

impl Columns {
    pub(super) fn corrupt(self, reason: impl ToString) -> StorageError {
        StorageError::Corrupt { table: self.0, reason: reason.to_string() }
    }

    pub(super) fn instant(self, unix_ms: i64) -> Result<Timestamp, StorageError> {
        u64::try_from(unix_ms).map(Timestamp::from_unix_ms).map_err(|_| self.corrupt("an instant before 1970"))
    }

    pub(super) fn instant_if_any(self, unix_ms: Option<i64>) -> Result<Option<Timestamp>, StorageError> {
        unix_ms.map(|unix_ms| self.instant(unix_ms)).transpose()
    }

    pub(super) fn count(self, number: i64) -> Result<u64, StorageError> {
        u64::try_from(number).map_err(|_| self.corrupt("a negative count"))
    }

    pub(super) fn digest(self, bytes: &[u8]) -> Result<Digest, StorageError> {
        <[u8; DIGEST_BYTES]>::try_from(bytes)
            .map(Digest::from_bytes)
            .map_err(|_| self.corrupt("a digest of the wrong length"))
    }

    pub(super) fn name(self, text: &str) -> Result<Name, StorageError> {
        Name::parse(text).map_err(|error| self.corrupt(error))
    }

    pub(super) fn kind(self, text: &str) -> Result<ApiKind, StorageError> {
        ApiKind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| self.corrupt("an unknown kind"))
    }

    pub(super) fn json<T: DeserializeOwned>(self, text: &str) -> Result<T, StorageError> {
        serde_json::from_str(text).map_err(|error| self.corrupt(error))
    }

    pub(super) fn json_if_any<T: DeserializeOwned>(self, text: Option<&str>) -> Result<Option<T>, StorageError> {
        text.map(|text| self.json(text)).transpose()
    }
}

/// A value as a JSON column holds it.
pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String, StorageError> {
    Ok(serde_json::to_string(value)?)
}
