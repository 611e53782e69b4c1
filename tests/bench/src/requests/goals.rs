//! What Portcullis shall be, beside what it was in this run.

use serde_json::json;

use super::measured::Measured;
use super::variants::{
    BASE, EXT_AUTHZ, FLOOR, LEASED, LEASED_1M, LEASED_10K, MALFORMED, NATIVE_BOTH, SHARED, SHARED_1M, UNLIMITED,
    UNLIMITED_1M,
};
use crate::report::Section;

/// How good a figure must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// It only informs.
    None,
}

impl Target {
    /// Whether it is met; nothing where there is none.
    pub fn is_met(self, figure: f64) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(figure <= most),
            Self::AtLeast(least) => Some(figure >= least),
            Self::None => None,
        }
    }
}

/// The columns of a table of goals.
pub const COLUMNS: [&str; 4] = ["what", "measured", "goal", "met"];

/// A row of a table of goals.
pub fn row(section: &mut Section, key: &str, label: &str, figure: f64, unit: &str, target: Target) {
    let number = |figure: f64| if figure.abs() < 100.0 { format!("{figure:.2}") } else { format!("{figure:.0}") };
    let with_unit = |figure: f64| format!("{} {unit}", number(figure)).trim_end().to_owned();
    let (goal, limit) = match target {
        Target::AtMost(most) => (format!("≤ {}", with_unit(most)), Some(most)),
        Target::AtLeast(least) => (format!("≥ {}", with_unit(least)), Some(least)),
        Target::None => (String::new(), None),
    };
    let is_met = target.is_met(figure);
    let met = is_met.map_or("", |is_met| if is_met { "yes" } else { "**no**" });
    let cells = [label.to_owned(), with_unit(figure), goal, met.to_owned()];
    section.cells(key, cells, json!({"value": figure, "unit": unit, "target": limit, "met": is_met}));
}

/// A figure and how good it must be.
#[derive(Debug)]
struct Goal {
    key: &'static str,
    label: &'static str,
    figure: f64,
    unit: &'static str,
    target: Target,
}

/// The table of goals.
pub fn section(measured: &Measured) -> Section {
    let mut section = Section::with_columns("goals", "Goals: medians over the rounds, each within a round", COLUMNS);
    for Goal { key, label, figure, unit, target } in goals(measured) {
        row(&mut section, key, label, figure, unit, target);
    }
    section
}

/// Those for which everything was measured that they take.
fn goals(measured: &Measured) -> Vec<Goal> {
    let over_bare = measured.between([LEASED, BASE], |[own, bare]| own - bare);
    let floor = measured.between([FLOOR, BASE], |[floor, bare]| floor - bare);
    let over_floor = measured.between([LEASED, FLOOR], |[own, floor]| own - floor);
    let to_authz = measured.between([LEASED, EXT_AUTHZ, BASE], |[own, authz, bare]| (own - bare) / (authz - bare));
    let rate = measured.between_workers([(LEASED, 1), (LEASED, 2)], |[one, two]| one / two);
    let ratio = |key, label, own, other, target| {
        let figure = measured.between([own, other], |[own, other]| own / other);
        figure.map(|figure| Goal { key, label, figure, unit: "", target })
    };
    let other =
        |key, label, figure: Option<f64>, unit, target| figure.map(|figure| Goal { key, label, figure, unit, target });
    let to_native = "everything on, to `api_key_auth` and `local_ratelimit`";
    let ten_thousand = "everything on with 10,000 keys, to the same with one";
    let million = "everything on with 1,000,000 keys, to the same with one";
    // What leases save depends on how often each key is used: these two leave that out.
    let million_shared = "limited without leases with 1,000,000 keys, to the same with one";
    let million_unlimited = "without a limit with 1,000,000 keys, to the same with one";
    let to_everything = "refusing a malformed key, to everything on";
    let to_unlimited = "refusing a malformed key, to letting pass without a limit";
    let goals = [
        other("over-bare", "everything on, over bare Envoy", over_bare, "µs", Target::AtMost(4.0)),
        other("floor", "of that, the host calls and callbacks by themselves", floor, "µs", Target::None),
        other("over-floor", "and what the filter does between them", over_floor, "µs", Target::None),
        other("to-ext-authz", "the same, to `ext_authz` over HTTP over bare", to_authz, "", Target::AtMost(0.1)),
        ratio("to-native", to_native, LEASED, NATIVE_BOTH, Target::AtMost(1.25)),
        ratio("10k-keys", ten_thousand, LEASED_10K, LEASED, Target::None),
        ratio("1m-keys", million, LEASED_1M, LEASED, Target::AtMost(1.1)),
        ratio("1m-keys-shared", million_shared, SHARED_1M, SHARED, Target::None),
        ratio("1m-keys-unlimited", million_unlimited, UNLIMITED_1M, UNLIMITED, Target::None),
        ratio("malformed-to-everything", to_everything, MALFORMED, LEASED, Target::AtMost(1.3)),
        ratio("malformed-to-unlimited", to_unlimited, MALFORMED, UNLIMITED, Target::AtMost(1.3)),
        other("workers", "requests for each CPU second, two workers to one", rate, "", Target::AtLeast(0.9)),
    ];
    goals.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::measured::tests::measured;

    #[test]
    fn a_goal_is_met_at_its_limit() {
        let targets = [Target::AtMost(2.0), Target::AtLeast(2.0), Target::None];
        assert_eq!(targets.map(|target| target.is_met(1.9)), [Some(true), Some(false), None]);
        assert_eq!(targets.map(|target| target.is_met(2.0)), [Some(true), Some(true), None]);
        assert_eq!(targets.map(|target| target.is_met(2.1)), [Some(false), Some(true), None]);
    }

    #[test]
    fn a_goal_is_there_if_all_that_it_takes_was_measured() {
        let two = measured(&[(BASE, &[20.0]), (LEASED, &[23.0])]);
        let keys = |measured| goals(measured).iter().map(|goal| goal.key).collect::<Vec<_>>();
        assert_eq!(keys(&two), ["over-bare"]);
        let three = measured(&[(BASE, &[20.0]), (LEASED, &[23.0]), (EXT_AUTHZ, &[50.0])]);
        assert_eq!(keys(&three), ["over-bare", "to-ext-authz"]);
    }
}
