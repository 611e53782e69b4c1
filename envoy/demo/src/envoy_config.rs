//! `envoy/envoy.yaml` with other addresses: the file is the example that users read, so it is no template.
//!
//! Only what differs is replaced, as text: the five addresses' and the Wasm file's, and what a test adds. Each piece
//! must stand in the file exactly once; a file in which it does not has been edited without this module, and is refused
//! by name of the piece rather than started with a wrong port.

use std::net::SocketAddr;
use std::path::Path;

/// The example, as it is in the repository.
pub const EXAMPLE: &str = include_str!("../../envoy.yaml");

const LISTENER: &str = "{ address: 127.0.0.1, port_value: 10000 }";
const ADMIN: &str = "{ address: 127.0.0.1, port_value: 9901 }";
const UPSTREAM: &str = "{ address: 127.0.0.1, port_value: 9000 }";
const SYNC: &str = "{ address: 127.0.0.1, port_value: 8081 }";
const WASM: &str = "filename: target/portcullis_filter.wasm";

/// What differs from the example.
#[derive(Clone, Debug)]
pub struct Differences<'a> {
    /// Where Envoy listens for callers.
    pub listener: SocketAddr,
    /// Where Envoy's admin port is.
    pub admin: SocketAddr,
    /// The upstream.
    pub upstream: SocketAddr,
    /// The control plane's sync port.
    pub sync: SocketAddr,
    /// The filter; none where `text` has had it taken out.
    pub wasm: Option<&'a Path>,
    /// More replacements, for tests: what stands in the file, and what shall stand there.
    pub more: &'a [(String, String)],
}

/// The example does not have what is to be replaced exactly once.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("envoy.yaml has `{piece}` {found} times, where exactly one is expected")]
pub struct UnexpectedConfig {
    /// The text that was looked for.
    pub piece: String,
    /// How often it is there.
    pub found: usize,
}

/// `text` (usually [`EXAMPLE`]) with these differences.
///
/// # Errors
///
/// [`UnexpectedConfig`] for the first piece that is not there exactly once.
pub fn render(text: &str, differences: &Differences<'_>) -> Result<String, UnexpectedConfig> {
    let mut own = vec![
        (LISTENER, address(differences.listener)),
        (ADMIN, address(differences.admin)),
        (UPSTREAM, address(differences.upstream)),
        (SYNC, address(differences.sync)),
    ];
    own.extend(differences.wasm.map(|wasm| (WASM, format!("filename: {}", quoted(&wasm.to_string_lossy())))));
    let own = own.iter().map(|(piece, new)| (*piece, new.as_str()));
    let more = differences.more.iter().map(|(piece, new)| (piece.as_str(), new.as_str()));
    let replacements: Vec<(&str, &str)> = own.chain(more).collect();

    // All pieces are counted in the original: what one replacement puts in is never taken for another's piece.
    for (piece, _) in &replacements {
        let found = text.matches(piece).count();
        if found != 1 {
            return Err(UnexpectedConfig { piece: (*piece).to_owned(), found });
        }
    }
    Ok(replace_all(text, &replacements))
}

/// Replaces pieces that each stand in `text` exactly once, in one pass over it.
fn replace_all(text: &str, replacements: &[(&str, &str)]) -> String {
    let mut places: Vec<(usize, &str, &str)> =
        replacements.iter().filter_map(|(piece, new)| Some((text.find(piece)?, *piece, *new))).collect();
    places.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut rest_from = 0;
    for (at, piece, new) in places {
        out.push_str(text.get(rest_from..at).unwrap_or_default());
        out.push_str(new);
        rest_from = at + piece.len();
    }
    out.push_str(text.get(rest_from..).unwrap_or_default());
    out
}

fn address(address: SocketAddr) -> String {
    format!("{{ address: {}, port_value: {} }}", quoted(&address.ip().to_string()), address.port())
}

/// A YAML double-quoted scalar; JSON's strings are a subset of those.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences<'a>(more: &'a [(String, String)]) -> Differences<'a> {
        Differences {
            listener: "127.0.0.1:9000".parse().unwrap(),
            admin: "127.0.0.1:2".parse().unwrap(),
            upstream: "127.0.0.1:10000".parse().unwrap(),
            sync: "[::1]:4".parse().unwrap(),
            wasm: Some(Path::new("/a \"b\"/filter.wasm")),
            more,
        }
    }

    #[test]
    fn only_the_differences_differ() {
        let rendered = render(EXAMPLE, &differences(&[])).unwrap();
        let changed: Vec<(&str, &str)> = EXAMPLE
            .lines()
            .zip(rendered.lines())
            .filter(|(old, new)| old != new)
            .map(|(old, new)| (old.trim(), new.trim()))
            .collect();
        let expected = [
            ("9901", r#"socket_address: { address: "127.0.0.1", port_value: 2 }"#),
            ("10000", r#"socket_address: { address: "127.0.0.1", port_value: 9000 }"#),
            ("portcullis_filter.wasm", r#"filename: "/a \"b\"/filter.wasm""#),
            ("9000", r#"socket_address: { address: "127.0.0.1", port_value: 10000 }"#),
            ("8081", r#"socket_address: { address: "::1", port_value: 4 }"#),
        ];
        assert_eq!(changed.len(), expected.len(), "{changed:#?}");
        for ((old, new), (piece, expected_new)) in changed.iter().zip(expected) {
            assert!(old.contains(piece), "{old}");
            assert_eq!(*new, expected_new);
        }
        assert_eq!(EXAMPLE.lines().count(), rendered.lines().count());
    }

    #[test]
    fn a_test_can_change_more() {
        let more = [(r#""exempt_paths": ["/healthz"]"#.to_owned(), r#""hold_ms": 50"#.to_owned())];
        let rendered = render(EXAMPLE, &differences(&more)).unwrap();
        assert!(rendered.contains(r#""hold_ms": 50"#));
        assert!(!rendered.contains("exempt_paths\""));
    }

    #[test]
    fn a_piece_that_is_missing_or_repeated_is_refused_by_name() {
        let gone = EXAMPLE.replace(SYNC, "{}");
        let error = render(&gone, &differences(&[])).unwrap_err();
        assert_eq!(error, UnexpectedConfig { piece: SYNC.to_owned(), found: 0 });
        let twice = EXAMPLE.replace(SYNC, &format!("{SYNC}{SYNC}"));
        assert_eq!(render(&twice, &differences(&[])).unwrap_err().found, 2);
    }

    #[test]
    fn the_docker_file_replaces_pieces_that_are_there_once() {
        let docker = include_str!("../../Dockerfile.envoy");
        let pieces: Vec<&str> =
            docker.lines().filter_map(|line| line.trim().strip_prefix("-e 's|")?.split('|').next()).collect();
        assert_eq!(pieces.len(), 4, "{pieces:?}");
        for piece in pieces {
            assert_eq!(EXAMPLE.matches(piece).count(), 1, "{piece}");
        }
    }
}
