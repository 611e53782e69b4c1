//! `/usage`: a chart over time with its table, and who or what it came from.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::PATH;
use super::over_time;
use super::question::{By, Measure, Question, Span};
use crate::console::address::Query;
use crate::console::client::Client;
use crate::console::failure::Failure;
use crate::console::forms::{Faults, Fields};
use crate::console::html::field::Field;
use crate::console::html::frame::{Frame, Section, View};
use crate::console::html::money::{grouped, shown};
use crate::console::model::{Counts, Usage, UsageItem};
use crate::console::session::Session;
use crate::domain::user::RoleName;

/// How many rows a page holds: no more than a page of 60 KB has room for.
const LIMIT: &str = "30";

/// The page.
pub struct UsageView {
    question: Question,
    /// What the question is narrowed to, each in words.
    narrowed: Vec<String>,
    /// The answer, or what is wrong with the question.
    answer: Result<Answer, Faults>,
}

/// What was used.
struct Answer {
    /// By the hour or by the day.
    over_time: Usage,
    /// By key, user, API or organization.
    apart: Option<Usage>,
}

/// Shows the page.
pub async fn show(session: Session, Query(question): Query<Question>) -> Result<Response, Failure> {
    let answer = match question.bounds(session.now) {
        Ok(bounds) => Ok(ask(&session, &question, &bounds).await?),
        Err(faults) => Err(faults),
    };
    let status = if answer.is_ok() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let narrowed = narrowed(&session.client, &question).await;
    Ok((status, session.frame.page(&UsageView { question, narrowed, answer })).into_response())
}

async fn ask(session: &Session, question: &Question, (from, to): &(String, String)) -> Result<Answer, Failure> {
    let ask = async |group_by: &str, cursor: &str| {
        let query = [
            ("group_by", group_by),
            ("from", from),
            ("to", to),
            ("key", &question.key),
            ("user", &question.user),
            ("api", &question.api),
            ("organization", session.organization()),
            ("limit", LIMIT),
            ("cursor", cursor),
        ];
        session.client.get::<Usage>("/v1/usage", &query).await
    };
    let over_time = ask(question.bucket().name(), "").await?;
    let apart = match question.by {
        By::Day => None,
        by @ (By::Key | By::User | By::Api | By::Organization) => Some(ask(by.name(), &question.cursor).await?),
    };
    Ok(Answer { over_time, apart })
}

#[derive(serde::Deserialize)]
struct Named {
    name: String,
}

/// What the question is narrowed to, in words; what has been deleted since has its id.
async fn narrowed(client: &Client, question: &Question) -> Vec<String> {
    let mut narrowed = Vec::new();
    let all = [("Key", "keys", &question.key), ("Keys of", "users", &question.user), ("API", "apis", &question.api)];
    for (what, section, id) in all.into_iter().filter(|(_, _, id)| !id.is_empty()) {
        let is_id = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let found = if is_id { client.get::<Named>(&format!("/v1/{section}/{id}"), &[]).await.ok() } else { None };
        narrowed.push(format!("{what} {}", found.map_or(id.clone(), |named| named.name)));
    }
    narrowed
}

impl View for UsageView {
    const SECTION: Section = Section::Usage;

    fn title(&self) -> String {
        "Usage".to_owned()
    }

    fn body(&self, frame: &Frame) -> Markup {
        html! {
            div .heading {
                h1 { "Usage" }
                @if self.answer.is_ok() {
                    a .button .secondary href=(self.question.link("/usage.csv", ("cursor", ""))) { "Download CSV" }
                }
            }
            (self.ranges())
            @if !self.narrowed.is_empty() {
                p .scope {
                    strong { (self.narrowed.join(", ")) } " "
                    a href=(Question { key: String::new(), user: String::new(), api: String::new(), ..self.question.clone() }
                        .link(PATH, ("cursor", ""))) { "Show all usage" }
                }
            }
            @if let Ok(answer) = &self.answer {
                (tiles(&answer.over_time.total))
                @if answer.over_time.total.is_any() { (self.answer(frame, answer)) } @else { (nothing()) }
            }
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
                summary { (Span::Custom.title()) }
                form .filter method="get" action=(PATH) {
                    input type="hidden" name="range" value=(Span::Custom.name());
                    @for (name, value) in [("by", question.by.name()), ("show", question.show.name()),
                                           ("key", &question.key), ("user", &question.user), ("api", &question.api)] {
                        @if !value.is_empty() { input type="hidden" name=(name) value=(value); }
                    }
                    (self.day("from", "/from", "First day (UTC)"))
                    (self.day("to", "/to", "Last day (UTC)"))
                    button .secondary type="submit" { "Show" }
                }
            }
        }
    }

    fn day(&self, name: &str, pointer: &str, label: &str) -> Markup {
        let typed = [("from", self.question.from.clone()), ("to", self.question.to.clone())];
        let none = Faults::default();
        let faults = self.answer.as_ref().err().unwrap_or(&none);
        Field { name, label, kind: "date", is_required: true, pointer, ..Field::default() }
            .render(&Fields::from_pairs(typed), faults)
    }

    fn answer(&self, frame: &Frame, answer: &Answer) -> Markup {
        let question = &self.question;
        let kinds = [By::Key, By::User, By::Api, By::Organization, By::Day];
        let kinds = kinds.into_iter().filter(|by| *by != By::Organization || frame.role == RoleName::Operator);
        let over_time = over_time::table(question, &answer.over_time);
        html! {
            (over_time::chart(question, &answer.over_time))
            @if answer.apart.is_some() { details { summary { "The same as a table" } (over_time) } }
            nav .tabs aria-label="By what usage is told apart" {
                @for by in kinds {
                    a href=(question.link(PATH, ("by", by.name())))
                        aria-current=[(by == question.by).then_some("page")] { (by.title()) }
                }
            }
            @match &answer.apart {
                Some(apart) => (self.apart(frame, apart)),
                None => (over_time),
            }
        }
    }

    fn apart(&self, frame: &Frame, apart: &Usage) -> Markup {
        let show = self.question.show;
        let mut items: Vec<&UsageItem> = apart.items.iter().collect();
        items.sort_by_key(|item| std::cmp::Reverse(measured(show, &item.counts)));
        let share = format!("Share of {}", show.title().to_lowercase());
        html! {
            @if items.is_empty() { p { "Nothing on this page: there is more on the next one." } }
            @else {
                table .cards {
                    caption .sr { "Usage, " (self.question.by.title()) }
                    (over_time::head("Name", Some(&share)))
                    tbody { @for item in items { (self.row(frame, item, &apart.total, &share)) } }
                }
            }
            @if apart.next_cursor.is_some() || !self.question.cursor.is_empty() {
                p .quiet { "The order is that of this page alone; the CSV has all of it." }
                nav .pages aria-label="Pages" {
                    @if !self.question.cursor.is_empty() { a href=(self.question.link(PATH, ("cursor", ""))) { "First page" } }
                    @if let Some(cursor) = &apart.next_cursor {
                        a rel="next" href=(self.question.link(PATH, ("cursor", cursor))) { "Next page" }
                    }
                }
            }
        }
    }

    fn row(&self, frame: &Frame, item: &UsageItem, total: &Counts, share: &str) -> Markup {
        let (field, id, name) = match self.question.by {
            By::Key => ("key", &item.key, &item.key_name),
            By::User => ("user", &item.user, &item.user_name),
            By::Api => ("api", &item.api, &item.api_name),
            By::Organization | By::Day => ("", &item.organization, &item.organization_name),
        };
        // What is gone, or another organization's, has no name; of that operators alone may ask, and of APIs alone.
        let is_asked = name.is_some() || field == "api" && frame.role == RoleName::Operator;
        let narrower = id.as_ref().filter(|_| is_asked && !field.is_empty());
        let name = html! {
            @match (name, id) {
                (Some(name), _) => (name),
                (None, Some(id)) => { code { (id) } },
                (None, None) => "Unknown",
            }
        };
        let show = self.question.show;
        html! {
            tr {
                th scope="row" data-label="Name" {
                    span {
                        @match narrower {
                            Some(id) => a href=(self.question.link(PATH, (field, id))) { (name) },
                            None => (name),
                        }
                        @if let Some(masked) = &item.key_masked { " " code .quiet { (masked) } }
                    }
                }
                (over_time::cells(&item.counts))
                td .number data-label=(share) { (percent(measured(show, &item.counts), measured(show, total))) }
            }
        }
    }
}

fn tiles(total: &Counts) -> Markup {
    html! {
        dl .tiles {
            div { dt { "Calls" } dd { (grouped(total.calls)) } }
            div { dt { "Refused" } dd { (grouped(total.refused)) } }
            div {
                dt { "Tokens" }
                dd { (grouped(total.total_tokens)) }
                @if total.estimated > 0 {
                    dd .note { "estimated for " (grouped(total.estimated)) @if total.estimated == 1 { " call" } @else { " calls" } }
                }
            }
            div { dt { "Cost" } dd { (shown(total.cost_micros)) } }
        }
    }
}

/// A part of a whole. What is there at all is more than nothing.
fn percent(part: u64, whole: u64) -> String {
    match (u128::from(part) * 100).checked_div(u128::from(whole)).unwrap_or_default() {
        0 if part > 0 => "< 1 %".to_owned(),
        share => format!("{share} %"),
    }
}

const fn measured(measure: Measure, counts: &Counts) -> u64 {
    match measure {
        Measure::Calls => counts.calls,
        Measure::Tokens => counts.total_tokens,
        Measure::Cost => counts.cost_micros,
    }
}

#[cfg(test)]
impl UsageView {
    /// By everything, over hours and days, and without any usage.
    pub fn samples(text: &str) -> Vec<Self> {
        let all = |by, range, show| Question {
            by,
            range,
            show,
            from: text.to_owned(),
            key: text.to_owned(),
            ..Question::default()
        };
        let of = |question: Question, over_time: Usage| Self {
            answer: Ok(Answer { over_time, apart: (question.by != By::Day).then(|| Usage::sample(text)) }),
            question,
            narrowed: vec![text.to_owned(); 2],
        };
        let view = |by, range, show| of(all(by, range, show), Usage::sample(text));
        let empty = || Usage { items: Vec::new(), total: Counts::default(), ..Usage::sample(text) };
        let question = || Question { cursor: text.to_owned(), ..all(By::Key, Span::Custom, Measure::Calls) };
        vec![
            view(By::Key, Span::Days, Measure::Calls),
            view(By::User, Span::Hours, Measure::Tokens),
            view(By::Api, Span::Custom, Measure::Cost),
            view(By::Organization, Span::Month, Measure::Calls),
            view(By::Day, Span::Week, Measure::Calls),
            of(question(), empty()),
            Self {
                answer: Ok(Answer { over_time: Usage::sample(text), apart: Some(empty()) }),
                ..of(question(), empty())
            },
            Self { answer: Err(Faults::one("/from", text)), ..of(question(), empty()) },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_share_is_never_nothing_of_something() {
        let cases = [((0, 0), "0 %"), ((0, 5), "0 %"), ((1, 1_000), "< 1 %"), ((1, 3), "33 %"), ((7, 7), "100 %")];
        for ((part, whole), text) in cases {
            assert_eq!(percent(part, whole), text);
        }
    }

    proptest! {
        #[test]
        fn a_share_is_at_most_all(part in 0..=u64::MAX, more in 0..=u64::MAX) {
            let text = percent(part, part.max(more));
            let share: u64 = text.trim_start_matches("< ").trim_end_matches(" %").parse().unwrap();
            prop_assert!(share <= 100 && (part > 0) == (text != "0 %"));
        }
    }
}
