//! Secrets of the demo on disk: one file each, readable by its owner alone.
//!
//! A file appears whole or not at all: it is written beside its place with mode 0600 from the first byte, and renamed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Characters of a generated token: 43 of base62 are 256 bits.
pub const TOKEN_CHARACTERS: usize = 43;

/// The secret in `path`, or `None` where there is no such file or nothing in it.
///
/// # Errors
///
/// Every other reason for not reading it.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|secret| !secret.is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes `secret` to `path` in one step; directories that are missing are made for the owner alone.
///
/// # Errors
///
/// What the operating system says; `path` is then as it was.
pub fn write(path: &Path, secret: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(secret.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// A new token of [`TOKEN_CHARACTERS`] base62 characters from the operating system's generator.
///
/// # Errors
///
/// The generator's.
pub fn generate() -> Result<String, getrandom::Error> {
    let mut token = String::with_capacity(TOKEN_CHARACTERS);
    while token.len() < TOKEN_CHARACTERS {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes)?;
        // Bytes from 248 on are thrown away: 248 is the last multiple of 62, and all characters must be as likely.
        let characters = bytes.iter().filter(|byte| **byte < 248).filter_map(|byte| BASE62.get(usize::from(byte % 62)));
        let missing = TOKEN_CHARACTERS - token.len();
        token.extend(characters.take(missing).map(|character| char::from(*character)));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_read_as_written_and_only_by_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("demo").join("operator-token");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, "first").unwrap();
        write(&path, "second").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("second"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn an_empty_file_holds_no_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        fs::write(&path, "\n").unwrap();
        assert_eq!(read(&path).unwrap(), None);
    }

    #[test]
    fn tokens_are_base62_and_differ() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_eq!(one.len(), TOKEN_CHARACTERS);
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(one, other);
    }
}
