//! One reading of a request's path, and the prefixes that it is matched against.
//!
//! Two components that read one path in two ways are a way around an access check (Envoy CVE-2023-27487,
//! LiteLLM CVE-2026-49468). So a path is not normalized here: one that *could* be read differently by an
//! upstream is refused. What remains has one reading, byte for byte. Refused are
//!
//! - anything that does not begin with `/`, and `*` and the empty path of `CONNECT` with it;
//! - empty, `.` and `..` segments, encoded or not (RFC 3986, section 5.2.4); a trailing `/` is not an empty
//!   segment;
//! - `\`, and `/`, `\` and NUL in percent-encoding, which some servers decode before they route;
//! - `;`, from which on some servers cut a segment;
//! - percent-encoded unreserved characters, which RFC 3986, section 2.3, calls equal to plain ones, and
//!   incomplete percent-encodings;
//! - white space, control characters, `#` and bytes from 0x80 up, which may not stand in a path.
//!
//! The query begins at the first `?` and is not looked at.

/// A path that has one reading, without its query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SafePath<'a>(&'a [u8]);

/// The path may be read in more than one way, or is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the path can be read in more than one way")]
pub struct UnsafePath;

impl<'a> SafePath<'a> {
    /// Reads the path of a request target such as `/v1/models?limit=3`.
    pub fn read(target: &'a [u8]) -> Result<Self, UnsafePath> {
        let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
        let segments = path.strip_prefix(b"/").ok_or(UnsafePath)?;
        let mut segments = segments.split(|byte| *byte == b'/').peekable();
        while let Some(segment) = segments.next() {
            let trailing = segment.is_empty() && segments.peek().is_none();
            if !trailing && matches!(segment, b"" | b"." | b"..") {
                return Err(UnsafePath);
            }
            if !has_one_reading(segment) {
                return Err(UnsafePath);
            }
        }
        Ok(Self(path))
    }

    /// The path's bytes.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

fn has_one_reading(segment: &[u8]) -> bool {
    let mut rest = segment;
    while let Some((byte, after)) = rest.split_first() {
        rest = match byte {
            b'%' => {
                let Some((digits, after)) = after.split_at_checked(2) else {
                    return false;
                };
                match decoded(digits) {
                    Some(b'/' | b'\\' | 0) | None => return false,
                    Some(byte) if is_unreserved(byte) => return false,
                    Some(_) => after,
                }
            }
            b'\\' | b';' | b'#' | 0x7f.. => return false,
            _ if *byte <= b' ' => return false,
            _ => after,
        };
    }
    true
}

/// The byte that two hexadecimal digits stand for.
fn decoded(digits: &[u8]) -> Option<u8> {
    // from_str_radix would take a sign.
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

/// RFC 3986, section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// A prefix of whole path segments: `/v1` is one of `/v1` and `/v1/models`, not of `/v10`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Prefix(Box<str>);

/// Why a text is no prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a path prefix begins with /, has no empty, . or .. segment, no ; ? # or \\, and no encoded / or \\")]
pub struct PrefixError;

impl Prefix {
    /// Reads a prefix. A trailing `/` means the same as none.
    pub fn read(text: &str) -> Result<Self, PrefixError> {
        let path = SafePath::read(text.as_bytes()).map_err(|UnsafePath| PrefixError)?;
        if path.as_bytes().len() != text.len() {
            return Err(PrefixError);
        }
        let trimmed = text.strip_suffix('/').unwrap_or(text);
        Ok(Self(trimmed.into()))
    }

    /// The prefix as people write it.
    pub fn as_str(&self) -> &str {
        if self.0.is_empty() { "/" } else { &self.0 }
    }

    /// Whether `path` lies under this prefix.
    pub fn covers(&self, path: SafePath<'_>) -> bool {
        path.0.strip_prefix(self.0.as_bytes()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }

    /// The number of bytes that it compares: a longer prefix is a closer match.
    pub fn specificity(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_with_a_second_reading_is_refused() {
        let refused = [
            "",
            "*",
            "v1",
            "//",
            "//v1",
            "/v1//models",
            "/.",
            "/..",
            "/v1/.",
            "/v1/../admin",
            "/v1/./models",
            "/v1/%2e%2e/admin",
            "/v1/%2E./admin",
            "/v1%2fmodels",
            "/v1%2Fmodels",
            "/v1%5cmodels",
            "/v1\\models",
            "/v1/%00",
            "/v1/\0",
            "/v1/models;x",
            "/v1;x/models",
            "/v1/%",
            "/v1/%2",
            "/v1/%zz",
            "/v1/%+1",
            "/v1/%6dodels",
            "/v1/a b",
            "/v1/\t",
            "/v1/#x",
            "/v1/\u{e9}",
            "/v1/\u{7f}",
            "/v1/..?q",
        ];
        for path in refused {
            assert_eq!(SafePath::read(path.as_bytes()), Err(UnsafePath), "{path:?}");
        }
    }

    #[test]
    fn a_path_with_one_reading_is_taken_as_it_is() {
        let taken = [
            ("/", "/"),
            ("/v1/models?x=../%2f;", "/v1/models"),
            ("/v1/models/", "/v1/models/"),
            ("/v1/models/gpt-4o:predict", "/v1/models/gpt-4o:predict"),
            ("/v1/files/a%20b%25", "/v1/files/a%20b%25"),
            ("/v1/...", "/v1/..."),
        ];
        for (target, path) in taken {
            assert_eq!(SafePath::read(target.as_bytes()), Ok(SafePath(path.as_bytes())), "{target}");
        }
    }

    #[test]
    fn a_prefix_ends_at_a_segment() {
        let covers =
            |prefix: &str, path: &str| Prefix::read(prefix).unwrap().covers(SafePath::read(path.as_bytes()).unwrap());
        for prefix in ["/v1", "/v1/"] {
            assert!(covers(prefix, "/v1"));
            assert!(covers(prefix, "/v1/"));
            assert!(covers(prefix, "/v1/models"));
            assert!(!covers(prefix, "/v10"));
            assert!(!covers(prefix, "/"));
        }
        assert!(covers("/", "/anything/at/all"));
        assert_eq!(Prefix::read("/").unwrap().as_str(), "/");
    }

    #[test]
    fn a_prefix_that_no_safe_path_has_is_refused() {
        for prefix in ["", "v1", "/v1?x", "/v1#x", "/a/../b", "//", "/%2f"] {
            assert_eq!(Prefix::read(prefix), Err(PrefixError), "{prefix}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_path_is_its_own_normal_form(target in "/[a-z.%2fF;/\\\\]{0,12}") {
            if let Ok(path) = SafePath::read(target.as_bytes()) {
                let text = str::from_utf8(path.as_bytes()).unwrap();
                prop_assert!(!text.contains("//") && !text.contains('\\') && !text.contains(';'));
                prop_assert!(!text.split('/').any(|segment| segment == "." || segment == ".."));
                prop_assert!(!text.to_lowercase().contains("%2f"));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = SafePath::read(&bytes);
        }
    }
}
