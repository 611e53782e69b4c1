//! A worker's virtual machine: what is around `portcullis_core::sync`, as in `filter/src/root.rs`.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use portcullis_core::directory::Serving;
use portcullis_core::id::GatewayId;
use portcullis_core::sync::{Rejection, Replica, Step};
use portcullis_core::wire::{Ask, Cursor, Poll, Revision};

use crate::clock::{Instant, MS, Monotonic, SECOND};
use crate::coverage::Thing;
use crate::world::{Event, Message, Request, World};

/// How long a worker waits for an answer.
const POLL_TIMEOUT: Instant = 30 * SECOND;

/// A virtual machine.
pub(crate) struct Vm {
    pub(crate) name: String,
    pub(crate) gateway: GatewayId,
    pub(crate) is_alive: bool,
    pub(crate) replica: Replica,
    pub(crate) clock: Monotonic,
    /// Where the database stood when it started.
    pub(crate) born: Cursor,
    /// What its cursor was last, and of each epoch the newest revision from which anything was read that it was sent.
    pub(crate) cursor: Option<Cursor>,
    pub(crate) read_at: BTreeMap<u64, Revision>,
    pub(crate) was_stale: bool,
    pub(crate) bound_ms: Option<u64>,
    pub(crate) is_catching_up: bool,
    pub(crate) partitioned_until: Instant,
    /// The latest of its polls that was handled.
    pub(crate) handled: u64,
    /// Whether it was forgotten by rule, and no poll of it has been stored since.
    pub(crate) is_forgotten: bool,
    pub(crate) heard_when_forgotten: u64,
    control: usize,
    /// The number of the poll whose answer it waits for.
    outstanding: Option<u64>,
    /// Which timer counts.
    token: u64,
    is_working: bool,
}

impl Vm {
    /// Whether nothing reaches it, nor comes from it.
    pub(crate) const fn is_partitioned(&self, now: Instant) -> bool {
        self.partitioned_until > now
    }

    /// Nobody need wait for it any more, until it polls again.
    pub(crate) const fn forget(&mut self) {
        (self.is_forgotten, self.heard_when_forgotten) = (true, self.handled);
    }

    /// The point in history at which the directory stands by which it judges requests now.
    pub(crate) fn serves(&self, now: Instant) -> Option<Cursor> {
        match self.replica.serving(|| self.clock.ms(now)) {
            Serving::Current(_) if self.is_alive => self.replica.cursor(),
            Serving::Current(_) | Serving::Stale | Serving::Nothing => None,
        }
    }

    fn is_stale(&self, now: Instant) -> bool {
        matches!(self.replica.serving(|| self.clock.ms(now)), Serving::Stale)
    }
}

impl World {
    /// Starts a virtual machine.
    pub(crate) fn give_birth(&mut self, gateway: GatewayId) {
        let number = self.new_number();
        let truth = self.gone_back_from.as_ref().unwrap_or(&self.database);
        let born = Cursor { epoch: truth.epoch, revision: truth.revision };
        let vm = self.vms.len();
        self.note("vm {} starts for gateway {} as {}", &[vm as u64, gateway.number(), number]);
        let control = self.random.place(self.control.len()).unwrap_or(0);
        self.vms.push(Vm {
            name: format!("{number:04}"),
            gateway,
            is_alive: true,
            replica: Replica::with_slice(self.plan.slice),
            clock: Monotonic::from_anywhere(self.now, &mut self.random),
            born,
            cursor: None,
            read_at: BTreeMap::new(),
            was_stale: false,
            bound_ms: None,
            is_catching_up: false,
            partitioned_until: 0,
            handled: 0,
            is_forgotten: false,
            heard_when_forgotten: 0,
            control,
            outstanding: None,
            token: 0,
            is_working: false,
        });
        self.wake_after(vm, 0);
    }

    fn wake_after(&mut self, vm: usize, delay: Instant) {
        self.vms[vm].token += 1;
        let token = self.vms[vm].token;
        self.after(delay, Event::Wake { vm, token });
    }

    /// A timer of a worker has run out: to poll, to give a poll up, or to take in the next slice of a page.
    pub(crate) fn wake(&mut self, vm: usize, token: u64) {
        let random = self.random.next() as u32;
        let now = self.now;
        let own = &mut self.vms[vm];
        if own.token != token || !own.is_alive {
            return;
        }
        if own.is_working {
            let (step, result) = own.replica.work(random);
            self.count(Thing::Sliced);
            self.follow(vm, step, result);
        } else if own.outstanding.take().is_some() {
            let step = own.replica.failed(random);
            self.count(Thing::TimedOut);
            self.follow(vm, step, Ok(()));
        } else {
            let poll = own.replica.poll(own.clock.ms(now));
            self.poll(vm, poll);
        }
    }

    fn poll(&mut self, vm: usize, poll: Poll) {
        if self.random.chance(self.plan.moves) {
            let other = self.random.place(self.control.len()).unwrap_or(0);
            if std::mem::replace(&mut self.vms[vm].control, other) != other {
                self.count(Thing::Moved);
            }
        }
        let own = &mut self.vms[vm];
        own.outstanding = Some(poll.number);
        own.is_catching_up = matches!(poll.ask, Ask::CatchUp { .. });
        let bound_ms = own.replica.max_staleness_ms();
        let (name, gateway, control) = (own.name.clone(), own.gateway, own.control);
        if matches!(poll.ask, Ask::Everything) && own.cursor.is_some() {
            self.count(Thing::Resync);
        }
        let (what, at) = match poll.ask {
            Ask::Everything => ("vm {} polls {}: everything", None),
            Ask::Part { at, .. } => ("vm {} polls {}: a part of {}@{}", Some(at)),
            Ask::CatchUp { at } => ("vm {} polls {}: catch up from {}@{}", Some(at)),
            Ask::After { cursor, .. } => ("vm {} polls {}: after {}@{}", Some(cursor)),
        };
        let at = at.map_or((0, 0), |at| (at.epoch.number(), at.revision));
        self.note(what, &[vm as u64, poll.number, at.0, at.1]);
        let request = Rc::new(Request { vm, name, gateway, poll, bound_ms });
        self.ask_control_plane(control, &request);
        self.wake_after(vm, POLL_TIMEOUT);
    }

    /// An answer has reached a worker.
    pub(crate) fn receive(&mut self, message: Message) {
        let Message { vm, number, page } = message;
        let (now, random) = (self.now, self.random.next() as u32);
        let own = &mut self.vms[vm];
        if !own.is_alive || own.is_partitioned(now) {
            return;
        }
        let Some((page, epoch, read_at)) = page else {
            if own.outstanding == Some(number) {
                own.outstanding = None;
                let step = own.replica.failed(random);
                self.follow(vm, step, Ok(()));
            }
            return;
        };
        let newest = own.read_at.entry(epoch.number()).or_insert(read_at);
        *newest = read_at.max(*newest);
        let (step, result) = own.replica.answered(page, own.clock.ms(now), random);
        if step == Step::Ignore {
            self.count(Thing::Ignored);
            return;
        }
        self.follow(vm, step, result);
    }

    /// Does what a replica says.
    fn follow(&mut self, vm: usize, step: Step, result: Result<(), Rejection>) {
        match result {
            Ok(()) => {}
            Err(Rejection::Page(_)) => self.count(Thing::Damaged),
            Err(Rejection::Unasked) => self.count(Thing::Unasked),
            Err(Rejection::Rollback { .. }) => self.count(Thing::RollbackRejected),
            Err(Rejection::Record(_)) => self.count(Thing::Damaged),
        }
        let own = &mut self.vms[vm];
        own.is_working = step == Step::Work;
        match step {
            Step::Poll => {
                own.outstanding = None;
                self.check(vm);
                let poll = {
                    let own = &mut self.vms[vm];
                    own.replica.poll(own.clock.ms(self.now))
                };
                self.poll(vm, poll);
            }
            Step::PollAfter(pause_ms) => {
                own.outstanding = None;
                self.check(vm);
                self.wake_after(vm, u64::from(pause_ms) * MS);
            }
            Step::Work => {
                own.outstanding = None;
                self.check(vm);
                let pause = self.random.between(0, 20 * MS);
                self.wake_after(vm, pause);
            }
            Step::Ignore => {}
        }
    }

    /// Looks whether a worker has become stale or serves again, and whether it may now go on for longer or less long.
    pub(crate) fn watch_staleness(&mut self, vm: usize) {
        let own = &mut self.vms[vm];
        let bound_ms = own.replica.max_staleness_ms();
        let before_ms = std::mem::replace(&mut own.bound_ms, bound_ms);
        let order = |bound_ms: Option<u64>| bound_ms.unwrap_or(u64::MAX);
        match order(bound_ms).cmp(&order(before_ms)) {
            Ordering::Greater => self.count(Thing::BoundLengthened),
            Ordering::Less => self.count(Thing::BoundShortened),
            Ordering::Equal => {}
        }
        let is_stale = self.vms[vm].is_stale(self.now);
        match (std::mem::replace(&mut self.vms[vm].was_stale, is_stale), is_stale) {
            (false, true) => self.count(Thing::Stale),
            (true, false) => self.count(Thing::Recovered),
            (true, true) | (false, false) => {}
        }
    }
}
