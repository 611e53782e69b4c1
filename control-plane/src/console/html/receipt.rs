//! The receipt of a change: which workers have applied it, as it comes in.
//!
//! The script asks for a pending receipt again until it is complete; without it there is a link that does.

use maud::{Markup, html};

use super::time::time;
use crate::console::model::{Propagation, PropagationStatus};

/// The receipt, after a sentence of what was done.
pub fn receipt(done: &str, receipt: &Propagation) -> Markup {
    let is_complete = receipt.status == PropagationStatus::Complete;
    let live = format!("/receipts/{}/live", receipt.revision);
    html! {
        div class={ "alert receipt " (if is_complete { "good" } else { "warn" }) } role="status"
            data-receipt=[(!is_complete).then_some(&live)] data-done=(done) {
            p { @if !done.is_empty() { strong { (done) } " " } (sentence(receipt)) }
            @if !receipt.pending.is_empty() { (pending(receipt)) }
            @if let Some(until) = &receipt.settling_until {
                p { "The database was restored: until " (time(until)) " there may be workers that it does not know." }
            }
            @if !is_complete {
                p .no-script { a href={ "/receipts/" (receipt.revision) } { "Look again" } }
            }
        }
    }
}

fn sentence(receipt: &Propagation) -> String {
    let (applied, total) = (receipt.workers_applied, receipt.workers_total);
    let elapsed = receipt.elapsed_ms.map(|ms| format!(" in {ms} ms")).unwrap_or_default();
    let workers = if total == 1 { "worker" } else { "workers" };
    match receipt.status {
        PropagationStatus::Complete if total == 0 => "No gateway is connected: it holds as soon as one is.".to_owned(),
        PropagationStatus::Complete if receipt.workers_stopped > 0 => format!(
            "Enforced everywhere: {applied} of {total} {workers} applied it{elapsed}, and {} accept nothing for want of \
             contact.",
            receipt.workers_stopped
        ),
        PropagationStatus::Complete => format!("Enforced by {applied} of {total} {workers}{elapsed}."),
        PropagationStatus::Pending => {
            format!(
                "Pending: {applied} of {total} {workers} have applied it so far. It is saved and goes on by itself."
            )
        }
    }
}

/// The longest list of workers that is shown.
const SHOWN_MAX: usize = 10;

fn pending(receipt: &Propagation) -> Markup {
    let more = receipt.pending.len().saturating_sub(SHOWN_MAX);
    html! {
        ul .pending {
            @for worker in receipt.pending.iter().take(SHOWN_MAX) {
                li {
                    "Worker " code { (worker.worker) }
                    @if let Some(node) = &worker.node { " of node " strong { (node) } }
                    ", gateway " code { (worker.gateway) } ", last seen " (time(&worker.last_seen_at))
                }
            }
            @if more > 0 { li { (more) " more" } }
        }
        @if let Some(by) = &receipt.enforced_by {
            p { "By " (time(by)) " each of them has applied it or accepts nothing any more." }
        }
    }
}
