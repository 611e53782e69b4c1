//! One run: everything there is in it, and what happens next.

use std::collections::BTreeMap;
use std::rc::Rc;

use portcullis_core::id::GatewayId;
use portcullis_core::wire::{Epoch, Poll, Revision};

use crate::clock::{Instant, MS};
use crate::control::ControlPlane;
use crate::coverage::{Coverage, Thing};
use crate::database::{Database, State};
use crate::laws::{Broken, Promise};
use crate::plan::Plan;
use crate::random::Random;
use crate::trace::Trace;
use crate::worker::Vm;

/// Everything there is in a run.
pub struct World {
    pub(crate) now: Instant,
    pub(crate) random: Random,
    pub(crate) plan: Plan,
    /// The database that control planes see: while it has gone back, an older one than the true one.
    pub(crate) database: Database,
    pub(crate) gone_back_from: Option<Database>,
    pub(crate) backup: Option<Database>,
    /// What was live at each revision of each epoch.
    pub(crate) history: BTreeMap<(u64, Revision), Rc<State>>,
    pub(crate) control: Vec<ControlPlane>,
    pub(crate) vms: Vec<Vm>,
    /// Counts the starts of control planes, names of virtual machines and secrets.
    pub(crate) counter: u64,
    pub(crate) promises: Vec<Promise>,
    pub(crate) is_quiet: bool,
    pub(crate) trace: Trace,
    pub(crate) coverage: Coverage,
    pub(crate) broken: Option<Broken>,
    queue: BTreeMap<(Instant, u64), Event>,
    scheduled: u64,
}

/// Something that is about to happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// Somebody changes something.
    Write,
    /// Something breaks.
    Fault,
    /// Something that broke is whole again.
    Heal(Heal),
    /// A poll reaches a control plane.
    Arrives { control: usize, request: Rc<Request> },
    /// An answer reaches a worker.
    Answered(Message),
    /// A worker's time to do something has come, unless it has done something else since.
    Wake { vm: usize, token: u64 },
    /// A control plane takes the next step with a poll.
    Step { control: usize, process: u64, poll: u64 },
    /// What a control plane does by itself.
    Tick { control: usize, process: u64, count: u64 },
    /// A control plane looks at the control row.
    Look { control: usize, process: u64 },
    /// A control plane stores what it has heard of workers.
    Save { control: usize, process: u64 },
    /// A control plane reads what others have stored of workers.
    Fetch { control: usize, process: u64 },
    /// Somebody asks how far a revision has come.
    Ask(Question),
    /// The instant has come by which a change is enforced.
    Enforced,
}

/// What becomes whole again.
#[derive(Debug)]
pub(crate) enum Heal {
    /// A control plane starts.
    Start(usize),
    /// A virtual machine starts, of this gateway.
    Birth(GatewayId),
    /// The database is what it was before it went back.
    Database,
}

/// A poll under way.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) vm: usize,
    pub(crate) name: String,
    pub(crate) gateway: GatewayId,
    pub(crate) poll: Poll,
    pub(crate) bound_ms: Option<u64>,
}

/// An answer under way.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) vm: usize,
    pub(crate) number: u64,
    /// The page, or nothing for an error; and the revision of the database from which it was read.
    pub(crate) page: Option<(Vec<u8>, Epoch, Revision)>,
}

/// Somebody wants a receipt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question {
    pub(crate) epoch: Epoch,
    pub(crate) revision: Revision,
    /// The process that committed it.
    pub(crate) written_by: u64,
}

impl World {
    /// The beginning of the run of this seed.
    pub(crate) fn new(seed: u64, is_shown: bool) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::draw(&mut random);
        let database = Database::new(Epoch::from_number(1));
        let mut world = Self {
            now: 0,
            history: BTreeMap::from([((1, 0), Rc::clone(&database.state))]),
            control: (0..plan.control_planes).map(|_| ControlPlane::down(database.epoch, &mut random)).collect(),
            database,
            gone_back_from: None,
            backup: None,
            vms: Vec::new(),
            counter: 0,
            promises: Vec::new(),
            is_quiet: false,
            trace: Trace::new(is_shown),
            coverage: Coverage::default(),
            broken: None,
            queue: BTreeMap::new(),
            scheduled: 0,
            random,
            plan,
        };
        world.begin();
        world
    }

    /// Has something happen after so long.
    pub(crate) fn after(&mut self, delay: Instant, event: Event) {
        self.scheduled += 1;
        self.queue.insert((self.now + delay, self.scheduled), event);
    }

    /// Notes that something happened.
    pub(crate) fn count(&mut self, thing: Thing) {
        self.coverage[thing] += 1;
    }

    /// Notes an event in the trace.
    pub(crate) fn note(&mut self, what: &str, numbers: &[u64]) {
        self.trace.note(self.now, what, numbers);
    }

    /// A number that was not drawn before.
    pub(crate) const fn new_number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Goes on until `end`, or until a law is broken, or until `is_over` after an event.
    pub(crate) fn run_until(&mut self, end: Instant, mut is_over: impl FnMut(&mut Self) -> bool) {
        while self.broken.is_none()
            && let Some((at, _)) = self.queue.first_key_value().map(|(place, _)| *place)
            && at <= end
            && let Some((_, event)) = self.queue.pop_first()
        {
            self.now = at;
            self.happen(event);
            if is_over(self) {
                return;
            }
        }
        self.now = self.now.max(end);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Write => self.write_something(),
            Event::Fault => self.break_something(),
            Event::Heal(heal) => self.heal(&heal),
            Event::Arrives { control, request } => self.arrive(control, request),
            Event::Answered(message) => self.receive(message),
            Event::Wake { vm, token } => self.wake(vm, token),
            Event::Step { control, process, poll } => self.step(control, process, poll),
            Event::Tick { control, process, count } => self.tick(control, process, count),
            Event::Look { control, process } if self.control[control].is(process) => drop(self.look(control)),
            Event::Save { control, process } if self.control[control].is(process) => drop(self.save(control)),
            Event::Fetch { control, process } if self.control[control].is(process) => drop(self.fetch(control)),
            Event::Look { .. } | Event::Save { .. } | Event::Fetch { .. } => {}
            Event::Ask(question) => self.ask(question),
            Event::Enforced => {
                self.count(Thing::Enforced);
                self.check_promises_of_all();
            }
        }
    }

    /// How long a step of a control plane takes.
    pub(crate) fn step_time(&mut self) -> Instant {
        if !self.is_quiet && self.random.chance(self.plan.stalls) {
            self.count(Thing::Stalled);
            return self.random.between(300, 9_000) * MS;
        }
        self.random.between(20, 2_000)
    }
}
