//! The names that people give to keys, APIs, organizations and gateways.

use std::fmt;

use serde::Serialize;

/// The longest name, in characters.
pub const NAME_CHARACTERS_MAX: usize = 100;

/// 1 to 100 characters without white space at either end and without control characters, which could forge a
/// line of a log or a header.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(String);

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {NAME_CHARACTERS_MAX} characters, and no control characters")]
pub struct NameError;

impl Name {
    /// Reads a name. White space at both ends is cut off, after the text as a whole has been held to the rules: so
    /// the pattern in the API's description, which knows of no cutting, refuses what is refused here.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = text.trim();
        let fits = !name.is_empty() && text.chars().count() <= NAME_CHARACTERS_MAX;
        (fits && !text.chars().any(char::is_control)).then(|| Self(name.to_owned())).ok_or(NameError)
    }

    /// What the access token is called that a sign-in makes.
    pub fn session() -> Self {
        Self("session".to_owned())
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_bounded() {
        assert_eq!(Name::parse("  my key ").unwrap().as_str(), "my key");
        assert!(Name::parse(&"키".repeat(100)).is_ok());
        assert!(Name::parse("<script>alert('1')</script>").is_ok());
        for text in ["", "   ", "a\nb", "a\n", "a\0b", "a\u{7f}", &"x".repeat(101)] {
            assert_eq!(Name::parse(text), Err(NameError), "{text:?}");
        }
    }
}
