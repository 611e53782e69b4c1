//! What the caller wants to be answered in: JSON, or CSV if they prefer it (RFC 9110, section 12.5.1).
//!
//! Whoever accepts neither is answered in JSON: that is more use than a refusal.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A page in JSON.
    Json,
    /// All pages in CSV (RFC 4180).
    Csv,
}

impl Format {
    /// What these headers ask for.
    pub fn of(headers: &HeaderMap) -> Self {
        let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges = ranges.flat_map(|value| value.split(',')).collect::<Vec<_>>();
        let wish = |names: [&str; 3]| {
            // The range that says most about a type counts.
            names.iter().find_map(|name| ranges.iter().filter_map(|range| weight(range, name)).max()).unwrap_or(0)
        };
        let (csv, json) = (wish(["text/csv", "text/*", "*/*"]), wish(["application/json", "application/*", "*/*"]));
        if csv > json { Self::Csv } else { Self::Json }
    }
}

/// The weight of a range in thousandths, if it has this name.
fn weight(range: &str, name: &str) -> Option<u32> {
    let mut parts = range.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(name) {
        return None;
    }
    let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let Some(quality) = quality else { return Some(1_000) };
    let thousandths = (quality.parse::<f64>().ok()?.clamp(0.0, 1.0) * 1_000.0).round();
    (0..=1_000).find(|whole| f64::from(*whole) >= thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_for_who_prefers_it() {
        let cases = [
            ("", Format::Json),
            ("*/*", Format::Json),
            ("text/csv", Format::Csv),
            ("Text/CSV; charset=utf-8", Format::Csv),
            ("text/*", Format::Csv),
            ("text/csv, */*;q=0.1", Format::Csv),
            ("text/csv, application/json", Format::Json),
            ("text/csv;q=0.5, application/json", Format::Json),
            ("text/csv, application/json;q=0.9", Format::Csv),
            ("text/csv;q=0, */*", Format::Json),
            ("text/csv;q=x", Format::Json),
            ("text/html", Format::Json),
        ];
        for (accept, format) in cases {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            assert_eq!(Format::of(&headers), format, "{accept}");
        }
        assert_eq!(Format::of(&HeaderMap::new()), Format::Json);
    }
}
