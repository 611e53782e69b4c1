use super::*;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// 2027-01-15T08:20:00Z, when everything is asked.
const NOW: &str = "2027-01-15T08:20:00Z";

/// What an answer covers, where hours are kept from this instant on.
fn covered(from: &str, to: &str, bucket: Option<Period>, hours_from: &str) -> (String, String) {
    let asked = Asked::new(Some(at(from)), Some(at(to)), at(NOW), bucket).unwrap();
    let range = asked.rounded(bucket, at(hours_from));
    (range.from.to_string(), range.to.to_string())
}

#[test]
fn dimensions_are_named_once_and_those_that_exclude_each_other_not_together() {
    let names = |text| Grouping::parse(text).map(|grouping| grouping.dimensions());
    assert_eq!(names(""), Ok(vec![]));
    let sorted = vec![Dimension::User, Dimension::Day, Dimension::Api, Dimension::Outcome];
    assert_eq!(names("outcome,day,user,api"), Ok(sorted));
    for (text, error) in [
        ("keys", GroupingError::Unknown),
        ("key,", GroupingError::Unknown),
        (" key", GroupingError::Unknown),
        ("month", GroupingError::Unknown),
        ("api,api", GroupingError::Twice),
        ("key,key", GroupingError::Twice),
        ("hour,day", GroupingError::Exclusive),
        ("key,user", GroupingError::Exclusive),
        ("organization,api,key", GroupingError::Exclusive),
    ] {
        assert_eq!(names(text), Err(error), "{text}");
    }
}

#[test]
fn what_is_asked_is_rounded_outwards_to_what_is_kept_and_ends_with_this_hour() {
    let kept = "2027-01-10T00:00:00Z";
    let cases = [
        // Hours where they are kept, days where they are not, at each end by itself.
        ("2027-01-12T10:30:00Z", "2027-01-13T10:30:00Z", None, "2027-01-12T10:00:00Z", "2027-01-13T11:00:00Z"),
        ("2027-01-02T10:30:00Z", "2027-01-13T10:30:00Z", None, "2027-01-02T00:00:00Z", "2027-01-13T11:00:00Z"),
        ("2027-01-02T10:30:00Z", "2027-01-03T10:30:00Z", None, "2027-01-02T00:00:00Z", "2027-01-04T00:00:00Z"),
        ("2027-01-12T10:00:00Z", "2027-01-12T11:00:00Z", None, "2027-01-12T10:00:00Z", "2027-01-12T11:00:00Z"),
        // Up to now and beyond it.
        ("2027-01-01T00:00:00Z", NOW, None, "2027-01-01T00:00:00Z", "2027-01-15T09:00:00Z"),
        ("2027-01-01T00:00:00Z", "9999-01-01T00:00:00Z", None, "2027-01-01T00:00:00Z", "2027-01-15T09:00:00Z"),
        ("2028-01-01T00:00:00Z", "2029-01-01T00:00:00Z", None, "2027-01-15T09:00:00Z", "2027-01-15T09:00:00Z"),
        // An instant.
        ("2027-01-12T10:00:00Z", "2027-01-12T10:00:00Z", None, "2027-01-12T10:00:00Z", "2027-01-12T11:00:00Z"),
        // By the day and by the hour.
        (
            "2027-01-12T10:30:00Z",
            "2027-01-13T10:30:00Z",
            Some(Period::Day),
            "2027-01-12T00:00:00Z",
            "2027-01-14T00:00:00Z",
        ),
        (
            "2027-01-12T10:30:00Z",
            "2027-01-13T10:30:00Z",
            Some(Period::Hour),
            "2027-01-12T10:00:00Z",
            "2027-01-13T11:00:00Z",
        ),
        (
            "2027-01-08T10:30:00Z",
            "2027-01-13T10:30:00Z",
            Some(Period::Hour),
            "2027-01-10T00:00:00Z",
            "2027-01-13T11:00:00Z",
        ),
        (
            "2027-01-08T10:30:00Z",
            "2027-01-08T12:30:00Z",
            Some(Period::Hour),
            "2027-01-10T00:00:00Z",
            "2027-01-10T00:00:00Z",
        ),
    ];
    for (from, to, bucket, begin, end) in cases {
        assert_eq!(covered(from, to, bucket, kept), (begin.to_owned(), end.to_owned()), "{from} {to} {bucket:?}");
    }
}

#[test]
fn this_month_is_read_as_a_whole() {
    let asked = Asked::new(None, None, at(NOW), None).unwrap();
    let range = asked.rounded(None, at("1970-01-01T00:00:00Z"));
    let month = Piece { period: Period::Month, from: at("2027-01-01T00:00:00Z"), to: at("2027-02-01T00:00:00Z") };
    assert_eq!(range.pieces(None), [month]);
    assert_eq!((range.from, range.to), (month.from, at("2027-01-15T09:00:00Z")));
}

#[test]
fn a_range_that_is_backwards_or_too_long_for_what_it_is_shown_by_is_refused() {
    let asked = |from, to: Option<&str>, bucket| Asked::new(Some(at(from)), to.map(at), at(NOW), bucket).map(|_| ());
    assert_eq!(asked("2027-01-15T09:00:01Z", None, None), Err(AskedError::Backwards));
    assert_eq!(asked("2027-01-02T00:00:00Z", Some("2027-01-01T00:00:00Z"), None), Err(AskedError::Backwards));
    assert_eq!(asked("1970-01-01T00:00:00Z", None, None), Ok(()));
    let (hour, day) = (Some(Period::Hour), Some(Period::Day));
    assert_eq!(asked("2026-12-01T00:00:00Z", Some("2027-01-01T00:00:00Z"), hour), Ok(()));
    assert_eq!(asked("2026-12-01T00:00:00Z", Some("2027-01-01T00:00:01Z"), hour), Err(AskedError::Long));
    assert_eq!(asked("2027-01-01T00:00:00Z", Some("9999-01-01T00:00:00Z"), hour), Ok(()));
    assert_eq!(asked("2025-12-12T09:00:00Z", None, day), Ok(()));
    assert_eq!(asked("2025-12-11T08:59:59Z", None, day), Err(AskedError::Long));
}

#[test]
fn cost_is_rounded_down_once_it_is_summed_up() {
    let mut tally = Tally::default();
    let half = Amounts { cost_picos: 1_600_000, ..Amounts::default() };
    tally.add(Outcome::Unanswered, 1, &half);
    assert_eq!(tally.amounts.cost_micros(), 1);
    tally.add(Outcome::ALL[11], 2, &half);
    assert_eq!(tally.amounts.cost_micros(), 3);
    assert_eq!((tally.requests(), tally.calls(), tally.refused()), (3, 1, 2));
}

proptest! {
    #[test]
    fn an_answer_covers_what_was_asked_for_up_to_this_hour_and_what_is_read_covers_the_answer(
        from in 0..1_900_000_000_000_u64, length in 0..90_000_000_000_u64, kept_days in 0..21_000_u64,
    ) {
        let now = at(NOW);
        let (from, to) = (Timestamp::from_unix_ms(from), Timestamp::from_unix_ms(from + length));
        let asked = Asked::new(Some(from), Some(to), now, None).unwrap();
        let range = asked.rounded(None, Timestamp::from_unix_ms(kept_days * 86_400_000));
        prop_assert!(range.from <= range.to && range.to <= Period::Hour.end(now));
        prop_assert!(range.from <= from && (range.to >= to || range.to == Period::Hour.end(now)));
        let pieces = range.pieces(None);
        prop_assert!(pieces.len() <= 5);
        if let (Some(first), Some(last)) = (pieces.first(), pieces.last()) {
            prop_assert_eq!(first.from, range.from);
            // Nothing has been counted after this hour.
            prop_assert!(last.to == range.to || (range.to == Period::Hour.end(now) && last.to > range.to));
            for piece in &pieces {
                prop_assert!(piece.period != Period::Hour || piece.from.unix_ms() >= kept_days * 86_400_000);
            }
        } else {
            prop_assert_eq!(range.from, range.to);
        }
    }

    #[test]
    fn arbitrary_text_is_a_grouping_or_none(text in "[a-z,]{0,40}") {
        let _ = Grouping::parse(&text);
    }
}
