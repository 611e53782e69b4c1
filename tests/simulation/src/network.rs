//! The network between workers and control planes, which loses, doubles, delays, reorders and damages what it carries.

use std::rc::Rc;

use portcullis_core::wire::{Body, Content, Header};

use crate::clock::{Instant, MS};
use crate::coverage::Thing;
use crate::world::{Event, Message, Request, World};

impl World {
    /// How long a message takes: fractions of a millisecond, or seconds if it is late.
    fn travel_time(&mut self) -> Instant {
        if !self.is_quiet && self.random.chance(self.plan.late) {
            self.count(Thing::Late);
            return self.random.between(500, 45_000) * MS;
        }
        self.random.between(50, 3_000)
    }

    /// How many copies of a message arrive.
    fn copies(&mut self) -> usize {
        if self.is_quiet {
            return 1;
        }
        if self.random.chance(self.plan.lost) {
            self.count(Thing::Lost);
            return 0;
        }
        if self.random.chance(self.plan.doubled) {
            self.count(Thing::Doubled);
            return 2;
        }
        1
    }

    /// Sends a poll to a control plane.
    pub(crate) fn ask_control_plane(&mut self, control: usize, request: &Rc<Request>) {
        if self.vms[request.vm].is_partitioned(self.now) {
            return;
        }
        for _ in 0..self.copies() {
            let delay = self.travel_time();
            self.after(delay, Event::Arrives { control, request: Rc::clone(request) });
        }
    }

    /// Sends an answer to a worker.
    pub(crate) fn send(&mut self, message: Message) {
        if self.vms[message.vm].is_partitioned(self.now) {
            return;
        }
        for _ in 0..self.copies() {
            let delay = self.travel_time();
            let mut copy = message.clone();
            if let Some((page, ..)) = &mut copy.page
                && !self.is_quiet
                && self.random.chance(self.plan.damaged)
            {
                self.damage(page);
            }
            self.after(delay, Event::Answered(copy));
        }
    }

    fn damage(&mut self, page: &mut Vec<u8>) {
        let place = self.random.place(page.len()).unwrap_or(0);
        if self.random.chance(500) {
            self.count(Thing::Truncated);
            page.truncate(place);
        } else if let Some(byte) = page.get_mut(place) {
            *byte ^= self.random.between(1, 255) as u8;
            self.count(Thing::Garbled);
        }
    }

    /// Renders a page. Now and then a confused control plane leaves a gap before a delta.
    pub(crate) fn render(&mut self, header: &Header, body: &Body) -> Vec<u8> {
        let mut header = *header;
        if let Content::Delta { from, to, .. } = &mut header.content
            && !self.is_quiet
            && self.random.chance(self.plan.gaps)
        {
            (*from, *to) = (*from + 1, *to + 1);
        }
        body.page(&header).expect("a page is rendered")
    }
}
