//! Every page with sample data, hostile strings included: whatever people call things, it stays text.

use scraper::{ElementRef, Html, Selector};

use crate::console::html::frame::{Frame, View};
use crate::console::{account, advice, apis, audit, gateways, keys, members, organizations, sign_in, usage};

const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onfocus=alert(1) autofocus x='",
    "</title></textarea></style><svg/onload=alert(1)>",
    "javascript:alert(1)",
    "plain text & 中文 👩‍💻",
];

/// Each page of the console with its sample data, by its name.
fn all(text: &str) -> Vec<(String, String)> {
    let mut pages = Vec::new();
    add(&mut pages, text, keys::ListView::samples(text));
    add(&mut pages, text, keys::IssueView::samples(text));
    add(&mut pages, text, keys::IssuedView::samples(text));
    add(&mut pages, text, keys::ShowView::samples(text));
    add(&mut pages, text, keys::ChangeView::samples(text));
    add(&mut pages, text, keys::DeleteView::samples(text));
    add(&mut pages, text, keys::ReissueView::samples(text));
    add(&mut pages, text, keys::ReceiptView::samples(text));
    add(&mut pages, text, apis::ListView::samples(text));
    add(&mut pages, text, apis::EditView::samples(text));
    add(&mut pages, text, apis::DeleteView::samples(text));
    add(&mut pages, text, organizations::ListView::samples(text));
    add(&mut pages, text, organizations::EditView::samples(text));
    add(&mut pages, text, organizations::DeleteView::samples(text));
    add(&mut pages, text, usage::UsageView::samples(text));
    add(&mut pages, text, advice::AdviceView::samples(text));
    add(&mut pages, text, gateways::ListView::samples(text));
    add(&mut pages, text, gateways::ShowView::samples(text));
    add(&mut pages, text, gateways::EditView::samples(text));
    add(&mut pages, text, gateways::IssuedView::samples(text));
    add(&mut pages, text, gateways::ReissueView::samples(text));
    add(&mut pages, text, gateways::DeleteView::samples(text));
    add(&mut pages, text, members::ListView::samples(text));
    add(&mut pages, text, members::EditView::samples(text));
    add(&mut pages, text, members::DeleteView::samples(text));
    add(&mut pages, text, audit::AuditView::samples(text));
    add(&mut pages, text, account::AccountView::samples(text));
    add(&mut pages, text, account::TokenView::samples(text));
    let sign_in = sign_in::SignInView::samples(text).into_iter().map(|view| view.page().into_string());
    pages.extend(sign_in.map(|page| ("SignInView".to_owned(), page)));
    pages
}

fn add<V: View>(pages: &mut Vec<(String, String)>, text: &str, views: Vec<V>) {
    for view in views {
        for frame in Frame::samples(text) {
            pages.push((std::any::type_name::<V>().to_owned(), frame.page(&view).into_string()));
        }
    }
}

/// The elements that match.
fn select<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

fn is_ours(address: &str) -> bool {
    address.starts_with('/') && !address.starts_with("//") || address.starts_with('#')
}

#[test]
fn whatever_people_call_things_stays_text() {
    let mut shapes = Vec::new();
    for text in HOSTILE {
        let pages = all(text);
        for (name, page) in &pages {
            assert_is_harmless(name, &Html::parse_document(page));
        }
        let tags = |page: &String| {
            let page = Html::parse_document(page);
            select(&page, "*").iter().map(|element| element.value().name().to_owned()).collect::<Vec<_>>()
        };
        shapes.push(pages.iter().map(|(name, page)| (name.clone(), tags(page))).collect::<Vec<_>>());
    }
    for (text, shape) in HOSTILE.iter().zip(&shapes) {
        for ((name, elements), (_, others)) in shape.iter().zip(&shapes[0]) {
            assert_eq!(elements, others, "{name}: {text} makes elements of its own");
        }
    }
}

/// There is no script but ours, nothing runs on an event, nothing is styled inline, and nothing leads elsewhere.
fn assert_is_harmless(name: &str, page: &Html) {
    for element in select(page, "*") {
        for (attribute, value) in element.value().attrs() {
            assert!(!attribute.starts_with("on") && attribute != "style", "{name}: {attribute}={value}");
            if ["href", "src", "action", "formaction"].contains(&attribute) {
                assert!(is_ours(value), "{name}: {attribute}={value}");
            }
        }
    }
    let scripts = select(page, "script");
    assert_eq!(scripts.len(), 1, "{name}");
    assert!(scripts[0].value().attr("src").is_some() && scripts[0].inner_html().is_empty(), "{name}");
    assert!(select(page, "style, iframe, object, embed, base, img").is_empty(), "{name}");
}

#[test]
fn every_page_can_be_read_and_used_without_seeing_it() {
    for (name, page) in all("plain") {
        let page = Html::parse_document(&page);
        assert_eq!(select(&page, "h1").len(), 1, "{name}: one heading");
        assert_eq!(select(&page, "main").len(), 1, "{name}");
        assert!(!select(&page, "title")[0].inner_html().is_empty(), "{name}");
        let mut ids: Vec<_> = select(&page, "[id]").iter().filter_map(|element| element.value().id()).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "{name}: an id is there twice");
        for field in select(&page, "input:not([type=hidden]), select, textarea") {
            assert!(is_labelled(&page, field), "{name}: {} has no label", field.html());
        }
        for described in select(&page, "[aria-describedby]") {
            for id in described.value().attr("aria-describedby").unwrap().split(' ') {
                assert!(ids.contains(&id), "{name}: nothing is called {id}");
            }
        }
    }
}

fn is_labelled(page: &Html, field: ElementRef<'_>) -> bool {
    let by_id = field.value().id().is_some_and(|id| !select(page, &format!("label[for='{id}']")).is_empty());
    let around = field.ancestors().filter_map(ElementRef::wrap).any(|element| element.value().name() == "label");
    by_id || around || field.value().attr("aria-label").is_some()
}

#[test]
fn the_enter_key_sends_a_form_as_its_first_button_does() {
    for (name, page) in all("plain") {
        for form in select(&Html::parse_document(&page), "form[method=post]") {
            let buttons = Selector::parse("button[type=submit]").unwrap();
            let first = form.select(&buttons).next().unwrap_or_else(|| panic!("{name}: {}", form.html()));
            assert_eq!(first.value().attr("name"), None, "{name}: what is done otherwise is never meant by Enter");
        }
    }
}

#[test]
fn every_form_that_changes_something_carries_the_token() {
    for (name, page) in all("plain") {
        for form in select(&Html::parse_document(&page), "form[method=post]") {
            let token = Selector::parse("input[type=hidden][name=form_token]").unwrap();
            assert_eq!(form.select(&token).count(), 1, "{name}: {}", form.html());
        }
    }
}
