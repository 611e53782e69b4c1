//! Receipts: what a control plane says of how far a revision has come, to which everyone is held from then on.

use portcullis_core::wire::Cursor;

use crate::coverage::Thing;
use crate::laws::{Law, Promise};
use crate::world::{Event, Question, World};

impl World {
    /// Somebody asks how far a revision has come.
    pub(crate) fn ask(&mut self, question: Question) {
        let up = (0..self.control.len()).filter(|control| self.control[*control].process.is_some());
        let up = up.collect::<Vec<_>>();
        let Some(control) = self.random.one_of(&up) else { return };
        if self.control[control].epoch != question.epoch || self.gone_back_from.is_some() {
            return;
        }
        if self.give_receipt(control, question).is_none() {
            self.count(Thing::ReceiptUnavailable);
        }
    }

    /// Gives a receipt, and holds everyone to it. Nothing if the database is needed and out of reach.
    fn give_receipt(&mut self, control: usize, question: Question) -> Option<()> {
        let Question { epoch, revision, written_by } = question;
        if revision > self.control[control].news.revision {
            self.look(control).ok()?;
        }
        // Others may have counted workers, or lengthened bounds, of which this control plane has not heard yet. What they
        // do so later rests on a look at the database after that.
        if self.is_shared() {
            self.fetch(control).ok()?;
        }
        let own = &self.control[control];
        let receipt = own.fleet.propagation(revision, own.clock.us(self.now))?;
        let enforced_at = receipt.enforced_at_us.map(|us| own.clock.when(us));
        let is_complete = receipt.is_complete();
        if is_complete != own.fleet.is_complete(revision, own.clock.us(self.now)) {
            self.break_law(Law::CompleteIsNeverWrong, format!("two opinions of revision {revision}"));
        }
        let is_others = !self.control[control].is(written_by);
        self.note(
            "receipt of {}: {} of {} applied, {} stopped, complete: {}",
            &[revision, receipt.applied as u64, receipt.total as u64, receipt.stopped as u64, u64::from(is_complete)],
        );
        let at = Cursor { epoch, revision };
        let excused = self.excused();
        if is_complete {
            self.count(Thing::ReceiptComplete);
            if receipt.stopped > 0 {
                self.count(Thing::ReceiptStopped);
            }
            self.promise(Promise { law: Law::CompleteIsNeverWrong, at, from: self.now, excused });
            self.check_promises_of_all();
        } else {
            self.count(Thing::ReceiptPending);
            if receipt.settles_at_us.is_some() {
                self.count(Thing::ReceiptSettling);
            } else if let Some(from) = enforced_at {
                self.count(Thing::ReceiptEnforcedBy);
                self.promise(Promise { law: Law::EnforcedByThen, at, from, excused });
                self.after(from.saturating_sub(self.now) + 1, Event::Enforced);
            }
        }
        if is_others {
            let started = self.control[control].process.unwrap_or(0) > written_by;
            self.count(if started { Thing::ReceiptAfterRestart } else { Thing::ReceiptElsewhere });
        }
        Some(())
    }
}
