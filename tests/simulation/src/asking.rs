//! A poll that is being answered, taken through the same stages as in `control-plane/src/sync/asking.rs`, one step at a
//! time, so that anything can happen between two of them.

use std::rc::Rc;

use portcullis_core::push::answer::{Answer, Known, Wanted, answer};
use portcullis_core::push::delta::Delta;
use portcullis_core::push::fleet::{Worker, lengthens};
use portcullis_core::wire::{Ask, Body, Content, Cursor, Header, Lease, Revision};

use crate::clock::{Instant, MS, SECOND};
use crate::control::{Heard, News, Unavailable};
use crate::coverage::Thing;
use crate::database::{Gateway, Serves};
use crate::world::{Event, Message, Request, World};

/// How many snapshots are held for gateways that serve the same.
const HELD_PER_SCOPE_MAX: usize = 2;
/// The longest that a poll is held back.
const WAIT_MAX: Instant = 30 * SECOND;

/// A snapshot that is held for newcomers.
pub(crate) struct Snapshot {
    serves: Serves,
    at: Cursor,
    pages: Vec<Rc<Body>>,
    keys: u32,
}

/// A poll that is being answered.
pub(crate) struct Asking {
    request: Rc<Request>,
    news: News,
    looked_at_us: u64,
    gateway: Option<Rc<Gateway>>,
    is_promised: bool,
    is_fresh: bool,
    /// The bound on staleness that the worker is counted with, and answered.
    bound_ms: Option<u64>,
    pub(crate) stage: Stage,
}

pub(crate) enum Stage {
    Authenticate,
    Store,
    Look,
    Hold { until: Instant },
    Gather { from: Revision, head: Revision },
    Load(Wanted),
    Part { at: Cursor, part: u32 },
    Send { content: Content, body: Rc<Body>, read_at: Revision },
}

impl World {
    /// A poll has reached a control plane.
    pub(crate) fn arrive(&mut self, control: usize, request: Rc<Request>) {
        if self.vms[request.vm].is_partitioned(self.now) {
            return;
        }
        let own = &self.control[control];
        if own.process.is_none() {
            // Nobody listens; the connection is refused, or nothing comes back at all.
            if self.random.chance(700) {
                self.send(Message { vm: request.vm, number: request.poll.number, page: None });
            }
            return;
        }
        let (news, looked_at_us) = (own.news, own.looked_at_us);
        let (stage, gateway) = (Stage::Authenticate, None);
        let (is_promised, is_fresh, bound_ms) = (false, false, None);
        let asking = Asking { request, news, looked_at_us, gateway, is_promised, is_fresh, bound_ms, stage };
        let poll = self.new_number();
        self.control[control].polls.insert(poll, asking);
        self.step_soon(control, poll);
    }

    /// Has the next step with a poll be taken soon.
    pub(crate) fn step_soon(&mut self, control: usize, poll: u64) {
        let delay = self.step_time();
        self.step_after(control, poll, delay);
    }

    fn step_after(&mut self, control: usize, poll: u64, delay: Instant) {
        if let Some(process) = self.control[control].process {
            self.after(delay, Event::Step { control, process, poll });
        }
    }

    /// Takes a poll one stage further.
    pub(crate) fn step(&mut self, control: usize, process: u64, poll: u64) {
        if !self.control[control].is(process) {
            return;
        }
        let Some(mut asking) = self.control[control].polls.remove(&poll) else {
            return;
        };
        match self.take_further(control, &mut asking) {
            Ok(Some(stage)) => {
                let hold = if let Stage::Hold { until } = stage { Some(until) } else { None };
                asking.stage = stage;
                self.control[control].polls.insert(poll, asking);
                match hold {
                    Some(until) => self.step_after(control, poll, until.saturating_sub(self.now)),
                    None => self.step_soon(control, poll),
                }
            }
            Ok(None) => {}
            Err(Unavailable) => {
                self.count(Thing::Refused);
                self.send(Message { vm: asking.request.vm, number: asking.request.poll.number, page: None });
            }
        }
    }

    /// The next stage of a poll, or nothing if it has been answered.
    fn take_further(&mut self, control: usize, asking: &mut Asking) -> Result<Option<Stage>, Unavailable> {
        match &asking.stage {
            Stage::Authenticate => {
                asking.gateway = self.gateway(control, asking.request.gateway, asking.news.gateway_changes)?;
                if asking.gateway.is_none() {
                    self.count(Thing::Unauthorized);
                    return Err(Unavailable);
                }
                if self.report(control, asking) {
                    self.count(Thing::StoredFirst);
                    return Ok(Some(Stage::Store));
                }
                self.decide(control, asking)
            }
            Stage::Store => {
                self.save(control)?;
                (asking.is_promised, asking.is_fresh) = (true, false);
                self.decide(control, asking)
            }
            Stage::Look => {
                self.look(control)?;
                self.update(control, asking)?;
                asking.is_fresh = true;
                self.decide(control, asking)
            }
            Stage::Hold { until } => {
                let is_over = *until <= self.now;
                let from = asking.news.revision;
                self.update(control, asking)?;
                if is_over && asking.news.revision == from {
                    let content = Content::Delta { from, to: from, more: false };
                    self.finish(control, asking, content, &Body::default(), from);
                    return Ok(None);
                }
                self.decide(control, asking)
            }
            Stage::Gather { from, head } => {
                let (from, head) = (*from, *head);
                self.gather(control, asking, from, head)
            }
            Stage::Load(wanted) => {
                let wanted = *wanted;
                self.load(control, asking, wanted)
            }
            Stage::Part { at, part } => {
                let (at, part) = (*at, *part);
                self.part(control, asking, at, part)
            }
            Stage::Send { content, body, read_at } => {
                let (content, body, read_at) = (*content, Rc::clone(body), *read_at);
                self.finish(control, asking, content, &body, read_at);
                Ok(None)
            }
        }
    }

    /// Counts the worker that polls. True if it must be stored before it is answered.
    fn report(&mut self, control: usize, asking: &mut Asking) -> bool {
        let Request { vm, name, gateway, poll, bound_ms } = &*asking.request;
        let own = &mut self.control[control];
        let worker = Worker {
            name: name.clone(),
            node: None,
            polls: poll.number,
            last_seen_ms: own.wall.ms(self.now),
            applied: poll.ask.acknowledges(),
            bound_ms: *bound_ms,
            memory_bytes: None,
        };
        asking.bound_ms = asking.gateway.as_ref().and_then(|gateway| gateway.max_staleness_ms);
        asking.is_promised = lengthens(*bound_ms, asking.bound_ms);
        let seen = own.fleet.saw(*gateway, worker, asking.bound_ms, own.clock.us(self.now)).expect("few workers");
        let vm = &mut self.vms[*vm];
        vm.handled = vm.handled.max(poll.number);
        let heard = own.heard.entry((*gateway, name.clone())).or_insert(Heard { at: 0, polls: 0 });
        *heard = Heard { at: self.now, polls: heard.polls.max(poll.number) };
        if !seen.acknowledged_us.is_empty() && self.plan.control_planes > 1 {
            let process = self.control[control].process.unwrap_or(0);
            self.after(2 * MS, Event::Save { control, process });
        }
        seen.store_first.is_some()
    }

    /// Takes note of what is known now, and of what has become of the gateway if any was changed.
    fn update(&mut self, control: usize, asking: &mut Asking) -> Result<(), Unavailable> {
        let (news, looked_at_us) = (self.control[control].news, self.control[control].looked_at_us);
        if news.gateway_changes != asking.news.gateway_changes {
            asking.gateway = self.gateway(control, asking.request.gateway, news.gateway_changes)?;
            if asking.gateway.is_none() {
                self.count(Thing::Unauthorized);
                return Err(Unavailable);
            }
        }
        (asking.news, asking.looked_at_us) = (news, looked_at_us);
        Ok(())
    }

    fn decide(&mut self, control: usize, asking: &mut Asking) -> Result<Option<Stage>, Unavailable> {
        if self.promises_more(control, asking)? {
            self.count(Thing::PromiseAtEnd);
            return Ok(Some(Stage::Store));
        }
        let known = self.known(control, asking)?;
        let ask = asking.request.poll.ask;
        match answer(ask, asking.is_promised, &known) {
            Answer::LookFirst => {
                let is_ahead = matches!(ask, Ask::After { cursor, .. } if cursor.revision > known.head);
                self.count(if is_ahead { Thing::LookAhead } else { Thing::LookFirst });
                Ok(Some(Stage::Look))
            }
            Answer::Hold => {
                let Ask::After { wait_ms, .. } = ask else { return Err(Unavailable) };
                Ok(Some(Stage::Hold { until: self.now + (u64::from(wait_ms) * MS).min(WAIT_MAX) }))
            }
            Answer::Delta { from, head } if from == head => {
                let content = Content::Delta { from, to: from, more: false };
                Ok(Some(Stage::Send { content, body: Rc::default(), read_at: from }))
            }
            Answer::Delta { from, head } => Ok(Some(Stage::Gather { from, head })),
            Answer::Snapshot(wanted) => {
                if matches!(ask, Ask::After { cursor, .. } if cursor.epoch == known.epoch) {
                    self.count(Thing::Rescoped);
                }
                Ok(Some(Stage::Load(wanted)))
            }
            Answer::Part { at, part } => Ok(Some(Stage::Part { at, part })),
            Answer::RolledBack { .. } if self.random.chance(300) => {
                // A control plane that does not know better offers what it has.
                Ok(Some(Stage::Load(Wanted::by_a_newcomer(&known))))
            }
            Answer::RolledBack { .. } => {
                self.count(Thing::RolledBackRefused);
                Err(Unavailable)
            }
        }
    }

    /// Counts the worker with the bound that it will be answered with, which may have changed while it waited. True if
    /// that must be stored first.
    fn promises_more(&mut self, control: usize, asking: &mut Asking) -> Result<bool, Unavailable> {
        let bound_ms = asking.gateway.as_ref().ok_or(Unavailable)?.max_staleness_ms;
        if std::mem::replace(&mut asking.bound_ms, bound_ms) == bound_ms {
            return Ok(false);
        }
        let Request { gateway, name, bound_ms: reported_ms, .. } = &*asking.request;
        if lengthens(*reported_ms, bound_ms) {
            (asking.is_promised, asking.is_fresh) = (true, false);
        }
        Ok(self.control[control].fleet.promise(*gateway, name, bound_ms).is_some())
    }

    /// The connections of a control plane end.
    pub(crate) fn drop_polls(&mut self, control: usize) {
        for asking in std::mem::take(&mut self.control[control].polls).into_values() {
            self.send(Message { vm: asking.request.vm, number: asking.request.poll.number, page: None });
        }
    }

    fn known(&self, control: usize, asking: &Asking) -> Result<Known, Unavailable> {
        let scope_revision = asking.gateway.as_ref().ok_or(Unavailable)?.scope_revision;
        let (epoch, head) = (self.control[control].epoch, asking.news.revision);
        Ok(Known { epoch, head, is_fresh: asking.is_fresh, scope_revision, pruned: 0 })
    }

    fn gather(
        &mut self,
        control: usize,
        asking: &Asking,
        from: Revision,
        head: Revision,
    ) -> Result<Option<Stage>, Unavailable> {
        if self.is_cut(control) {
            return Err(Unavailable);
        }
        let serves = &asking.gateway.as_ref().ok_or(Unavailable)?.serves;
        match self.database.delta(from, head, serves, self.plan.far, self.plan.delta_bytes) {
            Delta::Page { to, more, body } => {
                let body = Rc::new((*body).clone());
                Ok(Some(Stage::Send {
                    content: Content::Delta { from, to, more },
                    body,
                    read_at: self.database.revision,
                }))
            }
            Delta::TooFar => {
                let is_gone = serves.iter().flat_map(|served| served.iter());
                let is_gone = is_gone.into_iter().any(|id| !self.database.state.apis.contains_key(id));
                self.count(if is_gone { Thing::ApiGone } else { Thing::TooFar });
                Ok(Some(Stage::Load(Wanted::beyond(from, &self.known(control, asking)?))))
            }
        }
    }

    /// Finds or builds a snapshot, and answers with its first part.
    fn load(&mut self, control: usize, asking: &mut Asking, wanted: Wanted) -> Result<Option<Stage>, Unavailable> {
        let before = Rc::clone(asking.gateway.as_ref().ok_or(Unavailable)?);
        if self.is_cut(control) {
            return Err(Unavailable);
        }
        let head = self.control[control].news.revision;
        let own = &mut self.control[control];
        let newest = own.snapshots.iter().rposition(|held| held.serves == before.serves);
        let usable = newest.filter(|place| wanted.is_met_by(own.snapshots[*place].at.revision, head));
        let place = if let Some(place) = usable {
            place
        } else {
            let (pages, keys) = self.database.snapshot(&before.serves, self.plan.part_records);
            let at = Cursor { epoch: own.epoch, revision: self.database.revision };
            let of_scope = own.snapshots.iter().filter(|held| held.serves == before.serves).count();
            if of_scope >= HELD_PER_SCOPE_MAX
                && let Some(oldest) = own.snapshots.iter().position(|held| held.serves == before.serves)
            {
                own.snapshots.remove(oldest);
            }
            own.snapshots.push(Snapshot { serves: before.serves.clone(), at, pages, keys });
            own.snapshots.len() - 1
        };
        let (content, body, read_at) = part_of(&self.control[control].snapshots[place], 0).ok_or(Unavailable)?;
        asking.gateway = self.read_gateway(control, asking.request.gateway)?;
        if asking.gateway.as_ref().is_none_or(|now| now.serves != before.serves) {
            return Ok(Some(Stage::Load(Wanted::by_a_newcomer(&self.known(control, asking)?))));
        }
        Ok(Some(Stage::Send { content, body, read_at }))
    }

    fn part(&mut self, control: usize, asking: &Asking, at: Cursor, part: u32) -> Result<Option<Stage>, Unavailable> {
        let serves = &asking.gateway.as_ref().ok_or(Unavailable)?.serves;
        let held = self.control[control].snapshots.iter().find(|held| held.at == at && held.serves == *serves);
        let Some(held) = held else {
            self.count(Thing::AnotherSnapshot);
            return Ok(Some(Stage::Load(Wanted::by_a_newcomer(&self.known(control, asking)?))));
        };
        let (content, body, read_at) = part_of(held, part).ok_or(Unavailable)?;
        self.count(Thing::PartOfMany);
        Ok(Some(Stage::Send { content, body, read_at }))
    }

    /// Sends an answer.
    fn finish(&mut self, control: usize, asking: &Asking, content: Content, body: &Body, read_at: Revision) {
        let Request { vm, poll, .. } = &*asking.request;
        let (own, bound_ms) = (&self.control[control], asking.bound_ms);
        let age_us = own.clock.us(self.now).saturating_sub(asking.looked_at_us);
        let lease = bound_ms.map(|max_staleness_ms| Lease { max_staleness_ms, age_ms: age_us.div_ceil(1_000) });
        let (epoch, now_ms) = (own.epoch, own.wall.ms(self.now));
        let header = Header { poll: poll.number, epoch, now_ms, content, lease };
        self.note(
            "control plane {} answers poll {} of vm {} with a bound of {} and an age of {} µs",
            &[control as u64, poll.number, *vm as u64, bound_ms.unwrap_or(0), age_us],
        );
        let page = self.render(&header, body);
        match content {
            Content::Delta { from, to, .. } if from == to => self.count(Thing::EmptyDelta),
            Content::Delta { more: true, .. } => self.count(Thing::MoreToCome),
            Content::Delta { .. } | Content::Snapshot { .. } => {}
        }
        self.send(Message { vm: *vm, number: poll.number, page: Some((page, epoch, read_at)) });
    }
}

fn part_of(snapshot: &Snapshot, part: u32) -> Option<(Content, Rc<Body>, Revision)> {
    let body = Rc::clone(snapshot.pages.get(part as usize)?);
    let (revision, parts) = (snapshot.at.revision, u32::try_from(snapshot.pages.len()).ok()?);
    Some((Content::Snapshot { revision, part, parts, keys: snapshot.keys }, body, revision))
}
