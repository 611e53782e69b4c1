//! Usage over time: the chart, and the table that says the same.

use std::collections::HashMap;

use maud::{Markup, html};

use super::PATH;
use super::question::{Measure, Question};
use crate::console::html::chart::{self, Column};
use crate::console::html::money::{grouped, shown};
use crate::console::model::{Counts, Usage};
use crate::domain::period::Period;
use crate::domain::timestamp::Timestamp;

/// The most columns of a chart: as many days as the admin API shows together.
const COLUMNS_MAX: usize = 400;

/// The chart, with the choice of what it shows.
pub fn chart(question: &Question, usage: &Usage) -> Markup {
    let (show, bucket) = (question.show, question.bucket());
    let columns: Vec<Column> =
        periods(usage, bucket).iter().map(|(start, counts)| column(show, &label(*start, bucket), counts)).collect();
    let highest = columns.iter().map(Column::total).max().unwrap_or_default();
    html! {
        div .heading {
            h2 { (show.title()) " over time" }
            nav .choices aria-label="What the chart shows" {
                @for measure in Measure::ALL {
                    a href=(question.link(PATH, ("show", measure.name())))
                        aria-current=[(measure == show).then_some("true")] { (measure.title()) }
                }
            }
        }
        (chart::columns(names(show), &columns, &amount(show, highest)))
    }
}

/// The same as a table, the latest first.
pub fn table(question: &Question, usage: &Usage) -> Markup {
    let bucket = question.bucket();
    let (name, names) = if bucket == Period::Hour { ("Hour", "Hours") } else { ("Day", "Days") };
    html! {
        p .quiet { (names) " are those of UTC. Those without usage are left out." }
        table .cards {
            caption .sr { "Usage over time" }
            (head(name, None))
            tbody {
                @for (start, counts) in periods(usage, bucket).iter().rev().filter(|(_, counts)| counts.is_any()) {
                    tr {
                        th scope="row" data-label=(name) { (label(*start, bucket)) }
                        (cells(counts))
                    }
                }
            }
        }
    }
}

/// The names of a table's columns, after that of the first.
pub fn head(first: &str, last: Option<&str>) -> Markup {
    html! {
        thead { tr {
            th scope="col" { (first) }
            @for name in ["Calls", "Refused", "Tokens", "Cost"].into_iter().chain(last) { th .number scope="col" { (name) } }
        } }
    }
}

/// How much was used, as cells of a row.
pub fn cells(counts: &Counts) -> Markup {
    html! {
        td .number data-label="Calls" { (grouped(counts.calls)) }
        td .number data-label="Refused" { (grouped(counts.refused)) }
        td .number data-label="Tokens" { (grouped(counts.total_tokens)) }
        td .number data-label="Cost" { (shown(counts.cost_micros)) }
    }
}

/// An hour or a day of UTC. It is not shown in the viewer's zone: there a day would be another one.
fn label(start: Timestamp, bucket: Period) -> String {
    let text = start.to_string();
    let day: String = text.chars().take(10).collect();
    let hour: String = text.chars().skip(11).take(2).collect();
    match bucket {
        Period::Hour => format!("{day} {hour}:00 UTC"),
        Period::Day | Period::Month => day,
    }
}

/// What was used in each hour or day of the time, those without usage included.
fn periods(usage: &Usage, bucket: Period) -> Vec<(Timestamp, Counts)> {
    let used: HashMap<Timestamp, &Counts> = usage
        .items
        .iter()
        .filter_map(|item| Some((Timestamp::parse(item.hour.as_ref().or(item.day.as_ref())?).ok()?, &item.counts)))
        .collect();
    let (Ok(from), Ok(to)) = (Timestamp::parse(&usage.from), Timestamp::parse(&usage.to)) else { return Vec::new() };
    let starts = std::iter::successors(Some(bucket.floor(from)), |start| Some(bucket.end(*start)));
    let starts = starts.take(COLUMNS_MAX).take_while(|start| *start < to);
    starts.map(|start| (start, used.get(&start).map_or_else(Counts::default, |counts| (*counts).clone()))).collect()
}

fn column(measure: Measure, label: &str, counts: &Counts) -> Column {
    let parts = parts(measure, counts);
    let said = names(measure).iter().zip(&parts).map(|(name, part)| format!("{name} {}", amount(measure, *part)));
    let told = format!("{label}: {}", said.collect::<Vec<_>>().join(", "));
    Column { label: label.to_owned(), told, parts }
}

const fn names(measure: Measure) -> &'static [&'static str] {
    match measure {
        Measure::Calls => &["Calls", "Refused"],
        Measure::Tokens => &["Input tokens", "Output tokens"],
        Measure::Cost => &["Cost"],
    }
}

fn parts(measure: Measure, counts: &Counts) -> Vec<u64> {
    match measure {
        Measure::Calls => vec![counts.calls, counts.refused],
        Measure::Tokens => vec![counts.prompt_tokens, counts.completion_tokens],
        Measure::Cost => vec![counts.cost_micros],
    }
}

fn amount(measure: Measure, amount: u64) -> String {
    match measure {
        Measure::Calls | Measure::Tokens => grouped(amount),
        Measure::Cost => shown(amount),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn periods_without_usage_are_there_too() {
        let usage = Usage { to: "2027-01-05T00:00:00Z".to_owned(), ..Usage::sample("x") };
        let days = periods(&usage, Period::Day);
        let calls: Vec<u64> = days.iter().map(|(_, counts)| counts.calls).collect();
        assert_eq!(calls, [1_234_567, 1_234_567, 1_234_567, 0]);
        assert_eq!(label(days[3].0, Period::Day), "2027-01-04");
        assert_eq!(label(days[0].0, Period::Hour), "2027-01-01 00:00 UTC");
        assert_eq!(periods(&usage, Period::Hour).len(), 96);
    }

    #[test]
    fn a_column_says_its_day_and_all_of_its_parts() {
        let usage = Usage::sample("x");
        let told = |measure| column(measure, "2027-01-01", &usage.total).told;
        assert_eq!(told(Measure::Calls), "2027-01-01: Calls 1,234,567, Refused 89");
        assert_eq!(told(Measure::Tokens), "2027-01-01: Input tokens 1,000, Output tokens 2,000");
        assert_eq!(told(Measure::Cost), "2027-01-01: Cost 12.35");
    }

    proptest! {
        #[test]
        fn every_period_of_the_time_is_there_once_and_in_order(hour in 0..500_000_u64, hours in 1..9_600_u64) {
            let at = |hour: u64| Timestamp::from_unix_ms(hour * 60 * 60 * 1_000).to_string();
            let usage = Usage { from: at(hour), to: at(hour + hours), items: Vec::new(), ..Usage::sample("x") };
            for (bucket, length) in [(Period::Hour, 1), (Period::Day, 24)] {
                let starts: Vec<Timestamp> = periods(&usage, bucket).into_iter().map(|(start, _)| start).collect();
                let count = (hour + hours).div_ceil(length) - hour / length;
                prop_assert_eq!(starts.len() as u64, count.min(COLUMNS_MAX as u64));
                prop_assert!(starts.windows(2).all(|pair| bucket.end(pair[0]) == pair[1]));
                prop_assert!(starts[0].to_string() <= usage.from);
            }
        }
    }
}
