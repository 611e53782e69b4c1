//! Amounts of money: millionths of the deployment's currency, written with a point.

use maud::{Markup, html};
use portcullis_core::limit::AMOUNT_MAX;

use crate::domain::budget::Budget;

const MICROS: u64 = 1_000_000;

/// `12_500_000` as `12.50`; more than two digits after the point where they say something.
pub fn from_micros(micros: u64) -> String {
    let fraction = format!("{:06}", micros % MICROS);
    let mut fraction = fraction.trim_end_matches('0').to_owned();
    while fraction.len() < 2 {
        fraction.push('0');
    }
    format!("{}.{fraction}", grouped(micros / MICROS))
}

/// The same for reading: to two digits, unless it is less than one.
pub fn shown(micros: u64) -> String {
    if micros < MICROS { from_micros(micros) } else { from_micros(micros.saturating_add(5_000) / 10_000 * 10_000) }
}

/// What is wrong with a text that is no amount.
pub const NO_AMOUNT: &str = "expected an amount such as 12.50, up to 1,000,000 and with at most six decimals";
/// What is wrong with a text that is no whole number.
pub const NO_NUMBER: &str = "expected a whole number such as 1,000";

/// Reads `12.5` as millionths. `None` if it is no amount, is finer than a millionth, or is more than the API takes.
pub fn to_micros(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 6 || !is_digits(fraction) {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<6}").parse().ok()?;
    let micros = ungrouped(whole)?.checked_mul(MICROS)?.checked_add(fraction)?;
    (micros <= AMOUNT_MAX).then_some(micros)
}

/// Reads a whole number, with its digits in groups of three or without any. `None` if it is none: a comma elsewhere is
/// meant as a decimal point, and left out it would make a hundredfold of `2,50`.
pub fn ungrouped(text: &str) -> Option<u64> {
    let mut groups = text.split([',', ' ']);
    let first = groups.next()?;
    let mut digits = first.to_owned();
    for group in groups {
        if first.len() > 3 || group.len() != 3 {
            return None;
        }
        digits.push_str(group);
    }
    if first.is_empty() || !is_digits(&digits) { None } else { digits.parse().ok() }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number in groups of three digits: `12,345,678`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A monthly budget in words.
pub fn budget(budget: Option<&Budget>) -> Markup {
    let Some(budget) = budget else { return html! { span .quiet { "None" } } };
    html! {
        @if let Some(cost) = budget.cost_micros { "Cost of " (shown(cost)) }
        @if budget.cost_micros.is_some() && budget.tokens.is_some() { ", " }
        @if let Some(tokens) = budget.tokens { (grouped(tokens)) " tokens" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_are_written_as_people_do() {
        let cases = [(0, "0.00"), (12_500_000, "12.50"), (1, "0.000001"), (1_234_567_000_000, "1,234,567.00")];
        for (micros, text) in cases {
            assert_eq!(from_micros(micros), text);
        }
        for text in
            ["", ".", ".5", "-1", "+1", "1.0000001", "1e3", "x", "1000000.000001", "2,50", "1000,000", ",500", "1.0,0"]
        {
            assert_eq!(to_micros(text), None, "{text}");
        }
        let read = [(999_999, "0.999999"), (1_004_999, "1.00"), (1_005_000, "1.01"), (158_206_500, "158.21")];
        for (micros, text) in read {
            assert_eq!(shown(micros), text);
        }
        assert_eq!((to_micros("1,000.5"), to_micros("1 000.5")), (Some(1_000_500_000), Some(1_000_500_000)));
    }

    proptest! {
        #[test]
        fn every_amount_survives_its_text(micros in 0..=AMOUNT_MAX) {
            prop_assert_eq!(to_micros(&from_micros(micros)), Some(micros));
        }

        #[test]
        fn every_number_survives_its_groups(number: u64) {
            prop_assert_eq!(ungrouped(&grouped(number)), Some(number));
            prop_assert_eq!(ungrouped(&number.to_string()), Some(number));
        }
    }
}
