//! The addresses at which others see this deployment: the console's for browsers, the gateway's for callers.
//!
//! An address is kept as its origin in the form of RFC 6454, section 6.2, which is what browsers write into `Origin`: in
//! lower case, without the scheme's own port and without a path. So two of them are the same place exactly if their texts
//! are the same. What has more to it than an origin is refused: it could not be compared.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// An origin that is reached by HTTP or HTTPS, such as `https://keys.example.com` or `http://127.0.0.1:8080`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

/// Why a text is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an address of the form https://keys.example.com, without a path")]
pub struct PublicUrlError;

impl PublicUrl {
    /// The origin's text, without a slash at its end.
    pub fn origin(&self) -> &str {
        &self.0
    }

    /// Whether it is reached by TLS.
    pub fn is_secure(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let url = Url::parse(text).map_err(|_| PublicUrlError)?;
        let is_web = matches!(url.scheme(), "http" | "https");
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let is_anonymous = url.username().is_empty() && url.password().is_none();
        // A parser of URLs overlooks white space and takes `\` for `/`; neither is meant by anybody.
        let is_plain = !text.contains(|character: char| character.is_whitespace() || character == '\\');
        (is_web && is_bare && is_anonymous && is_plain)
            .then(|| Self(url.origin().ascii_serialization()))
            .ok_or(PublicUrlError)
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_as_browsers_write_its_origin() {
        for (text, origin) in [
            ("https://keys.example.com", "https://keys.example.com"),
            ("https://Keys.Example.com:443/", "https://keys.example.com"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            let address: PublicUrl = text.parse().unwrap();
            assert_eq!(address.origin(), origin);
            assert_eq!(address.is_secure(), origin.starts_with("https"));
        }
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_refused() {
        for text in [
            "",
            "keys.example.com",
            "ftp://keys.example.com",
            "https://",
            "https://keys.example.com/console",
            "https://keys.example.com?",
            "https://keys.example.com#top",
            "https://ada:secret@keys.example.com",
            " https://keys.example.com",
            "https:\\\\keys.example.com",
        ] {
            assert_eq!(text.parse::<PublicUrl>(), Err(PublicUrlError), "{text:?}");
        }
    }
}
