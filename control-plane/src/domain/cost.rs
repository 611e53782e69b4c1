//! What calls cost, to the last millionth of a millionth.
//!
//! Prices are in millionths of the currency, for a call and for a million tokens. So the cost of any number of tokens is
//! a whole number of millionths of a millionth, and sums of costs are exact; they are rounded where they are shown.

use portcullis_core::outcome::Outcome;
use portcullis_core::wire::Counts;

use super::api::Price;

/// The largest cost that is told apart from larger ones, in millionths of the currency. It is far more than anyone is
/// owed, and a sum of two fits into a signed 64-bit integer.
pub const COST_MICROS_MAX: u64 = 1_000_000_000_000_000_000;
const PICOS_PER_MICRO: u128 = 1_000_000;

/// A cost. One that would be larger than [`Cost::MAX`] stays there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost {
    /// Full millionths of the currency.
    pub micros: u64,
    /// The millionths of a millionth that are left: 0 to 999,999.
    pub picos: u32,
}

impl Cost {
    /// The largest.
    pub const MAX: Self = Self { micros: COST_MICROS_MAX, picos: 0 };

    /// What requests cost that ended like this. Only calls do.
    pub fn of(price: &Price, outcome: Outcome, counts: &Counts) -> Self {
        if !outcome.is_call() {
            return Self::default();
        }
        // For a million tokens so many millionths: for one token so many millionths of a millionth.
        let calls = product(counts.requests, price.per_call_micros).saturating_mul(PICOS_PER_MICRO);
        let input = product(counts.prompt_tokens, price.per_million_input_tokens_micros);
        let output = product(counts.completion_tokens, price.per_million_output_tokens_micros);
        Self::from_picos(calls.saturating_add(input).saturating_add(output))
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self::from_picos(self.picos().saturating_add(other.picos()))
    }

    fn picos(self) -> u128 {
        in_picos(self.micros, self.picos.into())
    }

    fn from_picos(picos: u128) -> Self {
        let (micros, picos) = (u64::try_from(picos / PICOS_PER_MICRO), u32::try_from(picos % PICOS_PER_MICRO));
        let cost = micros.ok().zip(picos.ok()).map(|(micros, picos)| Self { micros, picos });
        cost.map_or(Self::MAX, |cost| cost.min(Self::MAX))
    }
}

/// So many millionths and millionths of a millionth, in the latter. It fits: numbers of 64 bits.
pub fn in_picos(micros: u64, picos: u64) -> u128 {
    u128::from(micros) * PICOS_PER_MICRO + u128::from(picos)
}

/// The full millionths in so many millionths of a millionth; more than a number of 64 bits holds stays there.
pub fn full_micros(picos: u128) -> u64 {
    u64::try_from(picos / PICOS_PER_MICRO).unwrap_or(u64::MAX)
}

/// It fits: two numbers of 64 bits.
fn product(one: u64, other: u64) -> u128 {
    u128::from(one) * u128::from(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::outcome::StatusClass;
    use portcullis_core::verdict::Refusal;
    use portcullis_core::wire::AMOUNT_MAX;
    use proptest::prelude::*;

    const CALL: Outcome = Outcome::Answered(StatusClass::Success);

    fn arbitrary_price(most: u64) -> impl Strategy<Value = Price> {
        (0..=most, 0..=most, 0..=most).prop_map(|(call, input, output)| Price {
            per_call_micros: call,
            per_million_input_tokens_micros: input,
            per_million_output_tokens_micros: output,
        })
    }

    fn arbitrary_counts(most: u64) -> impl Strategy<Value = Counts> {
        (0..=most, 0..=most, 0..=most).prop_map(|(requests, prompt_tokens, completion_tokens)| Counts {
            requests,
            prompt_tokens,
            completion_tokens,
            ..Counts::default()
        })
    }

    /// The same by long division: full millions of tokens have their price, and each token of the rest a millionth of
    /// it.
    fn by_hand(price: &Price, counts: &Counts) -> (u128, u128) {
        let tokens = [
            (counts.prompt_tokens, price.per_million_input_tokens_micros),
            (counts.completion_tokens, price.per_million_output_tokens_micros),
        ];
        let mut micros = u128::from(counts.requests) * u128::from(price.per_call_micros);
        let mut millionths = 0;
        for (tokens, price) in tokens.map(|(tokens, price)| (u128::from(tokens), u128::from(price))) {
            micros += tokens / 1_000_000 * price;
            let rest = tokens % 1_000_000 * price;
            micros += rest / 1_000_000;
            millionths += rest % 1_000_000;
        }
        (micros + millionths / 1_000_000, millionths % 1_000_000)
    }

    proptest! {
        #[test]
        fn a_cost_is_what_it_is_by_hand(price in arbitrary_price(100_000_000), counts in arbitrary_counts(1_000_000_000)) {
            let cost = Cost::of(&price, CALL, &counts);
            prop_assert_eq!((u128::from(cost.micros), u128::from(cost.picos)), by_hand(&price, &counts));
            prop_assert_eq!(Cost::of(&price, Outcome::Refused(Refusal::RateLimited), &counts), Cost::default());
        }

        #[test]
        fn it_does_not_matter_what_is_summed_up_first(
            price in arbitrary_price(100_000_000),
            one in arbitrary_counts(1_000_000_000),
            other in arbitrary_counts(1_000_000_000),
        ) {
            let apart = Cost::of(&price, CALL, &one).plus(Cost::of(&price, CALL, &other));
            prop_assert_eq!(Cost::of(&price, CALL, &one.plus(other)), apart);
        }

        #[test]
        fn no_cost_is_larger_than_the_largest(price in arbitrary_price(u64::MAX), counts in arbitrary_counts(u64::MAX)) {
            let cost = Cost::of(&price, CALL, &counts);
            prop_assert!(cost <= Cost::MAX && cost.picos < 1_000_000);
            prop_assert!(cost.plus(Cost::MAX) == Cost::MAX);
        }
    }

    #[test]
    fn the_largest_amounts_of_a_row_at_usual_prices_are_exact() {
        let price = Price {
            per_call_micros: 1,
            per_million_input_tokens_micros: 999_999,
            per_million_output_tokens_micros: 1_000_001,
        };
        let all = Counts {
            requests: AMOUNT_MAX,
            prompt_tokens: AMOUNT_MAX - 1,
            completion_tokens: AMOUNT_MAX,
            ..Counts::default()
        };
        let cost = Cost::of(&price, CALL, &all);
        assert_eq!((u128::from(cost.micros), u128::from(cost.picos)), by_hand(&price, &all));
        let dearest = Price {
            per_call_micros: AMOUNT_MAX,
            per_million_input_tokens_micros: AMOUNT_MAX,
            per_million_output_tokens_micros: AMOUNT_MAX,
        };
        assert_eq!(Cost::of(&dearest, CALL, &all), Cost::MAX);
    }
}
