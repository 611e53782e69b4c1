//! `/usage`: a chart over time with its table, and who or what it came from.

use std::collections::HashMap;

use axum::extract::Query;
use maud::{Markup, html};

use super::PATH;
use super::question::{By, Measure, Question, Span};
use crate::console::client::Client;
use crate::console::failure::Failure;
use crate::console::html::chart::{self, Column};
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::money::{grouped, shown};
use crate::console::html::time::time;
use crate::console::model::{Counts, Usage, UsageItem};
use crate::console::session::Session;
use crate::domain::period::Period;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::RoleName;

/// How many rows a page holds.
const LIMIT: &str = "100";
/// The most columns of a chart.
const COLUMNS_MAX: usize = 400;

/// The page.
pub struct UsageView {
    question: Question,
    /// What was used, by the hour or by the day.
    over_time: Usage,
    /// What was used, by key, user, API or organization.
    apart: Option<Usage>,
    /// What the question is narrowed to.
    narrowed: Option<String>,
}

/// Shows the page.
pub async fn show(session: Session, Query(question): Query<Question>) -> Result<Markup, Failure> {
    let (from, to) = question.bounds(session.now)?;
    let bucket = question.bucket().name();
    let of = |group_by: &'static str, cursor: &'static str| (group_by, cursor);
    let ask = async |(group_by, cursor): (&str, &str)| {
        let query = [
            ("group_by", group_by),
            ("from", &from),
            ("to", &to),
            ("key", &question.key),
            ("user", &question.user),
            ("api", &question.api),
            ("organization", session.organization()),
            ("limit", LIMIT),
            ("cursor", cursor),
        ];
        session.client.get::<Usage>("/v1/usage", &query).await
    };
    let over_time = ask(of(bucket, "")).await?;
    let apart = match question.by {
        By::Day => None,
        by @ (By::Key | By::User | By::Api | By::Organization) => Some(ask((by.name(), &question.cursor)).await?),
    };
    let narrowed = narrowed(&session.client, &question).await;
    Ok(session.frame.page(&UsageView { question, over_time, apart, narrowed }))
}

#[derive(serde::Deserialize)]
struct Named {
    name: String,
}

/// What the question is narrowed to, in words; what has been deleted since has its id.
async fn narrowed(client: &Client, question: &Question) -> Option<String> {
    let (what, section, id) =
        [("Key", "keys", &question.key), ("Keys of", "users", &question.user), ("API", "apis", &question.api)]
            .into_iter()
            .find(|(_, _, id)| !id.is_empty())?;
    let is_id = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let found = if is_id { client.get::<Named>(&format!("/v1/{section}/{id}"), &[]).await.ok() } else { None };
    Some(format!("{what} {}", found.map_or(id.clone(), |named| named.name)))
}

impl View for UsageView {
    const SECTION: Section = Section::Usage;

    fn title(&self) -> String {
        "Usage".to_owned()
    }

    fn body(&self, frame: &Frame) -> Markup {
        let is_empty = self.over_time.total.calls == 0 && self.over_time.total.refused == 0;
        html! {
            div .heading {
                h1 { "Usage" }
                a .button .secondary href=(self.question.link("/usage.csv", ("cursor", ""))) { "Download CSV" }
            }
            (self.ranges())
            @if let Some(narrowed) = &self.narrowed {
                p .scope {
                    strong { (narrowed) } " "
                    a href=(Question { key: String::new(), user: String::new(), api: String::new(), ..self.question.clone() }
                        .link(PATH, ("cursor", ""))) { "Show all usage" }
                }
            }
            (self.tiles())
            @if is_empty { (nothing()) } @else { (self.chart()) (self.apart(frame)) }
        }
    }
}

fn nothing() -> Markup {
    html! {
        div .empty {
            p { strong { "Nothing was used in this time." } }
            p { "Every call with a key is counted in the gateway and reported every few seconds." }
            p { a .button href="/keys/issue" { "Issue a key" } }
        }
    }
}

impl UsageView {
    fn ranges(&self) -> Markup {
        let question = &self.question;
        html! {
            nav .tabs aria-label="Time" {
                @for span in Span::PRESETS {
                    a href=(question.link(PATH, ("range", span.name())))
                        aria-current=[(span == question.range).then_some("page")] { (span.title()) }
                }
            }
            details .custom open[question.range == Span::Custom] {
                summary { "Other days" }
                form .filter method="get" action=(PATH) {
                    input type="hidden" name="range" value="custom";
                    @for (name, value) in [("by", question.by.name()), ("show", question.show.name()),
                                           ("key", &question.key), ("user", &question.user), ("api", &question.api)] {
                        @if !value.is_empty() { input type="hidden" name=(name) value=(value); }
                    }
                    div .field {
                        label for="from" { "First day (UTC)" }
                        input #from type="date" name="from" value=(question.from) required;
                    }
                    div .field {
                        label for="to" { "Last day (UTC)" }
                        input #to type="date" name="to" value=(question.to) required;
                    }
                    button .secondary type="submit" { "Show" }
                }
            }
        }
    }

    fn tiles(&self) -> Markup {
        let total = &self.over_time.total;
        html! {
            dl .tiles {
                div { dt { "Calls" } dd { (grouped(total.calls)) } }
                div { dt { "Refused" } dd { (grouped(total.refused)) } }
                div {
                    dt { "Tokens" }
                    dd { (grouped(total.total_tokens)) }
                    @if total.estimated > 0 { dd .note { "estimated for " (grouped(total.estimated)) " responses" } }
                }
                div { dt { "Cost" } dd { (shown(total.cost_micros)) } }
            }
        }
    }

    fn chart(&self) -> Markup {
        let show = self.question.show;
        let periods = periods(&self.over_time, self.question.bucket());
        let columns: Vec<Column> = periods
            .iter()
            .map(|(start, counts)| Column { label: label(*start, self.question.bucket()), parts: parts(show, counts) })
            .collect();
        let highest = columns.iter().map(Column::total).max().unwrap_or_default();
        html! {
            div .heading {
                h2 { (show.title()) " over time" }
                nav .choices aria-label="What the chart shows" {
                    @for measure in Measure::ALL {
                        a href=(self.question.link(PATH, ("show", measure.name())))
                            aria-current=[(measure == show).then_some("true")] { (measure.title()) }
                    }
                }
            }
            (chart::columns(names(show), &columns, &amount(show, highest)))
            (self.table_over_time(&periods))
        }
    }

    fn table_over_time(&self, periods: &[(Timestamp, Counts)]) -> Markup {
        let bucket = self.question.bucket();
        html! {
            details {
                summary { "The same as a table" }
                p .quiet { "Days and hours are those of UTC. Those without usage are left out." }
                table .cards {
                    caption .sr { "Usage over time" }
                    (head(if bucket == Period::Hour { "Hour" } else { "Day" }, false))
                    tbody {
                        @for (start, counts) in periods.iter().rev().filter(|(_, counts)| counts.calls + counts.refused > 0) {
                            tr {
                                th scope="row" data-label="Time" {
                                    @if bucket == Period::Hour { (time(&start.to_string())) } @else { (utc_day(*start)) }
                                }
                                (cells(counts))
                            }
                        }
                    }
                }
            }
        }
    }

    fn apart(&self, frame: &Frame) -> Markup {
        let Some(apart) = &self.apart else { return html! {} };
        let show = self.question.show;
        let mut items: Vec<&UsageItem> = apart.items.iter().collect();
        items.sort_by_key(|item| std::cmp::Reverse(measured(show, &item.counts)));
        let kinds = [By::Key, By::User, By::Api, By::Organization];
        let kinds = kinds.into_iter().filter(|by| *by != By::Organization || frame.role == RoleName::Operator);
        html! {
            nav .tabs aria-label="By what usage is told apart" {
                @for by in kinds {
                    a href=(self.question.link(PATH, ("by", by.name())))
                        aria-current=[(by == self.question.by).then_some("page")] { (by.title()) }
                }
            }
            table .cards {
                caption .sr { "Usage, " (self.question.by.title().to_lowercase()) }
                (head("Name", true))
                tbody { @for item in items { (self.row(item)) } }
            }
            @if let Some(cursor) = &apart.next_cursor {
                p .quiet { "The order is that of this page alone; the CSV has all of it." }
                nav .pages aria-label="Pages" { a rel="next" href=(self.question.link(PATH, ("cursor", cursor))) { "Next page" } }
            }
        }
    }

    fn row(&self, item: &UsageItem) -> Markup {
        let (name, narrower) = match self.question.by {
            By::Key => (item.key_name.as_ref().or(item.key_masked.as_ref()), item.key.as_ref().map(|id| ("key", id))),
            By::User => (item.user_name.as_ref(), item.user.as_ref().map(|id| ("user", id))),
            By::Api => (item.api_name.as_ref(), item.api.as_ref().map(|id| ("api", id))),
            By::Organization | By::Day => (item.organization_name.as_ref().or(item.organization.as_ref()), None),
        };
        let name = name.map_or("deleted", String::as_str);
        let all = measured(self.question.show, &self.over_time.total);
        let share = measured(self.question.show, &item.counts).saturating_mul(100).checked_div(all).unwrap_or_default();
        html! {
            tr {
                th scope="row" data-label="Name" {
                    @match narrower {
                        Some((field, id)) => a href=(self.question.link(PATH, (field, id))) { (name) },
                        None => (name),
                    }
                    @if let Some(masked) = &item.key_masked { " " code .quiet { (masked) } }
                }
                (cells(&item.counts))
                td .number data-label="Share" { (share) " %" }
            }
        }
    }
}

fn head(first: &str, has_share: bool) -> Markup {
    html! {
        thead { tr {
            th scope="col" { (first) }
            @for name in ["Calls", "Refused", "Tokens", "Cost"] { th .number scope="col" { (name) } }
            @if has_share { th .number scope="col" { "Share" } }
        } }
    }
}

fn cells(counts: &Counts) -> Markup {
    html! {
        td .number data-label="Calls" { (grouped(counts.calls)) }
        td .number data-label="Refused" { (grouped(counts.refused)) }
        td .number data-label="Tokens" { (grouped(counts.total_tokens)) }
        td .number data-label="Cost" { (shown(counts.cost_micros)) }
    }
}

/// A day of UTC, which is not shown in another zone: there it would be another day.
fn utc_day(start: Timestamp) -> String {
    start.to_string().chars().take(10).collect()
}

fn label(start: Timestamp, bucket: Period) -> String {
    match bucket {
        Period::Hour => {
            start.to_string().chars().take(13).map(|c| if c == 'T' { ' ' } else { c }).chain(":00".chars()).collect()
        }
        Period::Day | Period::Month => utc_day(start),
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

const fn measured(measure: Measure, counts: &Counts) -> u64 {
    match measure {
        Measure::Calls => counts.calls,
        Measure::Tokens => counts.total_tokens,
        Measure::Cost => counts.cost_micros,
    }
}

fn amount(measure: Measure, amount: u64) -> String {
    match measure {
        Measure::Calls | Measure::Tokens => grouped(amount),
        Measure::Cost => shown(amount),
    }
}

#[cfg(test)]
impl UsageView {
    /// By everything, over hours and days, and without any usage.
    pub fn samples(text: &str) -> Vec<Self> {
        let view = |by, range, show| Self {
            question: Question { by, range, show, from: text.to_owned(), key: text.to_owned(), ..Question::default() },
            over_time: Usage::sample(text),
            apart: (by != By::Day).then(|| Usage::sample(text)),
            narrowed: Some(text.to_owned()),
        };
        let empty = Usage { items: Vec::new(), total: Counts::default(), ..Usage::sample(text) };
        vec![
            view(By::Key, Span::Days, Measure::Calls),
            view(By::User, Span::Hours, Measure::Tokens),
            view(By::Api, Span::Custom, Measure::Cost),
            view(By::Organization, Span::Month, Measure::Calls),
            view(By::Day, Span::Week, Measure::Calls),
            Self { over_time: empty, ..view(By::Key, Span::Days, Measure::Calls) },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_without_usage_are_there_too() {
        let usage = Usage { to: "2027-01-05T00:00:00Z".to_owned(), ..Usage::sample("x") };
        let days = periods(&usage, Period::Day);
        let calls: Vec<u64> = days.iter().map(|(_, counts)| counts.calls).collect();
        assert_eq!(calls, [1_234_567, 1_234_567, 1_234_567, 0]);
        assert_eq!(label(days[3].0, Period::Day), "2027-01-04");
        assert_eq!(label(days[0].0, Period::Hour), "2027-01-01 00:00");
        assert_eq!(periods(&usage, Period::Hour).len(), 96);
    }
}
