//! The laws of the scanner: each key once, at its place, whatever surrounds it and however it is read.

use super::*;
use proptest::prelude::*;
use std::convert::Infallible;

/// Hands out a text in pieces of the given sizes, over and over, with an interruption before each.
struct Dribble<'a> {
    text: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
    interrupted: bool,
}

impl<'a> Dribble<'a> {
    fn new(text: &'a [u8], sizes: &'a [usize]) -> Self {
        Self { text, sizes: sizes.iter().cycle(), interrupted: false }
    }
}

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let size = buffer.len().min(self.text.len()).min(*self.sizes.next().unwrap());
        let (piece, rest) = self.text.split_at(size);
        buffer[..size].copy_from_slice(piece);
        self.text = rest;
        Ok(size)
    }
}

fn key_of(brand: &Brand, kind: Kind, seed: u64) -> PlainKey {
    let mut state = seed;
    let key = PlainKey::generate(brand, kind, |random| {
        for byte in random {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = state.to_be_bytes()[0];
        }
        Ok::<_, Infallible>(())
    });
    key.unwrap()
}

fn arbitrary_key() -> impl Strategy<Value = (Brand, Kind, PlainKey)> {
    let brand = "[a-z0-9]{1,10}".prop_map(|text| text.parse::<Brand>().unwrap());
    (brand, prop::sample::select(Kind::ALL.to_vec()), any::<u64>()).prop_map(|(brand, kind, seed)| {
        let key = key_of(&brand, kind, seed);
        (brand, kind, key)
    })
}

/// Bytes of all sorts, with more line feeds and beginnings of keys than chance would give.
fn surroundings() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"pc_".to_vec()),
        Just(b"pc_ded_".to_vec()),
        "[0-9A-Za-z_]{0,60}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn place_of(text: &[u8], at: usize) -> (u64, u64) {
    let lines = text[..at].split(|byte| *byte == b'\n').collect::<Vec<_>>();
    (lines.len() as u64, lines[lines.len() - 1].len() as u64 + 1)
}

fn found(scanner: &Scanner, buffer_bytes: usize, source: impl Read) -> Vec<Finding> {
    scanner.scan_by(buffer_bytes, source).collect::<Result<_, _>>().unwrap()
}

proptest! {
    #[test]
    fn a_key_is_found_once_and_at_its_place_whatever_surrounds_it_and_however_it_is_read(
        (brand, kind, key) in arbitrary_key(),
        before in surroundings(),
        after in surroundings(),
        sizes in prop::collection::vec(1_usize..70, 1..8),
        buffer_bytes in 0_usize..300,
    ) {
        let text = [&before, key.reveal().as_bytes(), &after].concat();
        let (line, column) = place_of(&text, before.len());
        let expected = [Finding { line, column, kind, masked: key.masked() }];
        let scanner = Scanner::new(brand);
        prop_assert_eq!(found(&scanner, buffer_bytes, Dribble::new(&text, &sizes)), &expected);
        prop_assert_eq!(found(&scanner, BUFFER_BYTES, text.as_slice()), &expected);
    }

    #[test]
    fn a_key_with_one_character_changed_is_not_found(
        (brand, _, key) in arbitrary_key(),
        place in any::<prop::sample::Index>(),
        other in prop::sample::select(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_".to_vec()),
    ) {
        let mut text = key.reveal().as_bytes().to_vec();
        let place = place.index(text.len());
        prop_assume!(text[place] != other);
        text[place] = other;
        let scanner = Scanner::new(brand);
        prop_assert_eq!(found(&scanner, BUFFER_BYTES, text.as_slice()), []);
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_hold_no_key(text in surroundings(), sizes in prop::collection::vec(1_usize..70, 1..8)) {
        let scanner = Scanner::new(Brand::default());
        prop_assert_eq!(found(&scanner, 0, Dribble::new(&text, &sizes)), []);
    }

    #[test]
    fn a_redacted_text_holds_no_key_and_all_else(
        (brand, _, key) in arbitrary_key(), before in "[a-z/\\n]{0,20}", after in ".{0,20}",
    ) {
        let scanner = Scanner::new(brand);
        let text = format!("{before}{}{after}{}", key.reveal(), key.reveal());
        prop_assert_eq!(scanner.redact(&text), format!("{before}{}{after}{}", key.masked(), key.masked()));
    }
}

#[test]
fn every_cut_through_a_key_is_bridged() {
    let brand = Brand::default();
    let (first, second) = (key_of(&brand, Kind::Access, 1), key_of(&brand, Kind::Gateway, 2));
    let text = format!("{}\n{}", first.reveal(), second.reveal());
    let scanner = Scanner::new(brand);
    let whole = found(&scanner, BUFFER_BYTES, text.as_bytes());
    assert_eq!(whole.iter().map(|finding| (finding.line, finding.column)).collect::<Vec<_>>(), [(1, 1), (2, 1)]);
    for cut in 1..text.len() {
        let sizes = [cut, text.len()];
        assert_eq!(found(&scanner, BUFFER_BYTES, Dribble::new(text.as_bytes(), &sizes)), whole, "{cut}");
        assert_eq!(found(&scanner, cut, text.as_bytes()), whole, "{cut}");
    }
}

#[test]
fn what_stands_directly_around_a_key_hides_nothing() {
    let brand = Brand::default();
    let key = key_of(&brand, Kind::Access, 3);
    let scanner = Scanner::new(brand);
    for (before, after) in [("x", "y"), ("pc_adm_", "0"), ("pc_", "_"), ("KEY=", "\""), ("9", "9"), ("é", "é")] {
        let text = format!("{before}{}{after}", key.reveal());
        let findings = found(&scanner, BUFFER_BYTES, text.as_bytes());
        assert_eq!(findings.len(), 1, "{before} {after}");
        assert_eq!(findings[0].column, before.len() as u64 + 1);
    }
}

#[test]
fn a_failing_source_says_so_once_after_what_was_found() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("bad sector"))
        }
    }
    let brand = Brand::default();
    let key = key_of(&brand, Kind::Access, 4);
    let scanner = Scanner::new(brand);
    let mut findings = scanner.scan(key.reveal().as_bytes().chain(Failing));
    assert_eq!(findings.next().unwrap().unwrap().masked, key.masked());
    assert_eq!(findings.next().unwrap().unwrap_err().to_string(), "bad sector");
    assert!(findings.next().is_none());
}
