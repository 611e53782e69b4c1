//! The texts of requests, written before anything is measured.
//!
//! A million keys take more memory than caches have, which a key that is used all the time would hide. Where there are
//! many, requests use [`TEXTS`] of them in turn. Where there is one, there are as many copies of its text, so that the
//! generator has the same work. Each of many keys is used some times in a second only, and what a worker has leased for it
//! lapses unit by unit in between.

use std::net::SocketAddr;

use portcullis_tests::bulk::numbered_key;

use super::variant::{Credential, Variant};

/// How many texts there are.
pub const TEXTS: usize = 4_096;
/// A number that no key of a house has.
const NEVER_ISSUED: u32 = 14_000_000;

/// Texts that are sent in turn.
#[derive(Debug)]
pub struct Texts {
    texts: Vec<Box<[u8]>>,
    different: usize,
    next: usize,
}

impl Texts {
    /// Those of a variant, to an Envoy at this address, with these keys.
    pub fn of(variant: &Variant, address: SocketAddr, secrets: &[String]) -> Self {
        let secrets = match variant.credential {
            Credential::Valid => secrets,
            Credential::Missing | Credential::Malformed | Credential::Unknown => &secrets[..1],
        };
        let text = |secret: &String| request(variant, address, secret).into_bytes().into_boxed_slice();
        let texts = secrets.iter().cycle().take(TEXTS).map(text).collect();
        Self { texts, different: secrets.len().min(TEXTS), next: 0 }
    }

    /// The next one.
    pub fn next(&mut self) -> &[u8] {
        let text = &self.texts[self.next];
        self.next = (self.next + 1) % TEXTS;
        text
    }

    /// How many are different.
    pub fn different(&self) -> u64 {
        self.different as u64
    }
}

/// A request of this variant with a key that was never issued.
pub fn unknown(variant: &Variant, address: SocketAddr) -> Vec<u8> {
    request(&Variant { credential: Credential::Unknown, ..*variant }, address, "").into_bytes()
}

fn request(variant: &Variant, address: SocketAddr, secret: &str) -> String {
    let Variant { method, path, credential, .. } = *variant;
    let authorization = match credential {
        Credential::Valid => format!("authorization: Bearer {secret}\r\n"),
        Credential::Missing => String::new(),
        Credential::Malformed => format!("authorization: Bearer {}\r\n", misspelt(secret)),
        Credential::Unknown => format!("authorization: Bearer {}\r\n", numbered_key(NEVER_ISSUED).reveal()),
    };
    let body = if method == "POST" { "content-length: 0\r\n" } else { "" };
    format!(
        "{method} {path}/models HTTP/1.1\r\nhost: {address}\r\n{authorization}\
        accept: application/json\r\nuser-agent: portcullis-bench\r\n{body}\r\n"
    )
}

/// The key with another last character, which is one of its check code.
fn misspelt(secret: &str) -> String {
    let (rest, last) = secret.split_at(secret.len() - 1);
    format!("{rest}{}", if last == "0" { '1' } else { '0' })
}

#[cfg(test)]
mod tests {
    use portcullis_core::key::{Brand, parse};

    use super::*;
    use crate::requests::variants::{ALL, LEASED};

    #[test]
    fn a_misspelt_key_is_none_and_an_unknown_one_is() {
        let key = numbered_key(1);
        assert!(parse(&Brand::default(), key.reveal().as_bytes()).is_ok());
        assert!(parse(&Brand::default(), misspelt(key.reveal()).as_bytes()).is_err());
        assert!(parse(&Brand::default(), numbered_key(NEVER_ISSUED).reveal().as_bytes()).is_ok());
    }

    #[test]
    fn each_key_has_its_turn() {
        let variant = ALL.iter().find(|variant| variant.key == LEASED).unwrap();
        let secrets = ["a", "b", "c"].map(str::to_owned);
        let mut texts = Texts::of(variant, "127.0.0.1:1".parse().unwrap(), &secrets);
        assert_eq!(texts.different(), 3);
        for secret in secrets.iter().cycle().take(TEXTS).chain(&secrets[..1]) {
            let text = String::from_utf8(texts.next().to_vec()).unwrap();
            assert!(text.contains(&format!("\r\nauthorization: Bearer {secret}\r\n")), "{text}");
        }
    }
}
