//! What an answer must be, so that nothing else is measured by mistake.

use memchr::memmem;

/// What an answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    status: &'static str,
    /// The one of [`LIMIT_HEADERS`] that it must have; it must have none of the others.
    limit_header: Option<&'static str>,
}

/// Headers that tell of a limit, Portcullis's and Envoy's own, as they stand in an answer.
const LIMIT_HEADERS: [&str; 2] = [OURS, NATIVE];
const OURS: &str = "\r\nratelimit: ";
const NATIVE: &str = "\r\nx-ratelimit-limit: ";

impl Answer {
    /// Let pass, without a word on limits.
    pub const PLAIN: Self = Self { status: "200", limit_header: None };
    /// Let pass by a limit of Portcullis.
    pub const LIMITED: Self = Self { status: "200", limit_header: Some(OURS) };
    /// Let pass by a limit of Envoy's own.
    pub const LIMITED_NATIVELY: Self = Self { status: "200", limit_header: Some(NATIVE) };
    /// Refused by a limit of Portcullis.
    pub const REFUSED: Self = Self { status: "429", limit_header: Some(OURS) };
    /// Refused by a limit of Envoy's own.
    pub const REFUSED_NATIVELY: Self = Self { status: "429", limit_header: None };
    /// Refused for the key, or for want of one.
    pub const UNAUTHORIZED: Self = Self { status: "401", limit_header: None };

    /// What came, if it is not what this says.
    pub fn differs(self, answer: &[u8]) -> Option<String> {
        let has = |header: &str| memmem::find(answer, header.as_bytes()).is_some();
        let as_expected = answer.get(9..12) == Some(self.status.as_bytes())
            && LIMIT_HEADERS.iter().all(|header| has(header) == (self.limit_header == Some(*header)));
        (!as_expected).then(|| format!("expected was {self:?}, and this came:\n{}", String::from_utf8_lossy(answer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_status_or_another_header_is_another_answer() {
        let answer = b"HTTP/1.1 200 OK\r\nratelimit: \"a\";r=1\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(Answer::LIMITED.differs(answer), None);
        for other in [Answer::REFUSED, Answer::PLAIN, Answer::LIMITED_NATIVELY, Answer::UNAUTHORIZED] {
            assert!(other.differs(answer).is_some(), "{other:?}");
        }
    }
}
