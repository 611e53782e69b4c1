//! The requests of this virtual machine that are under way, by the number that Envoy has for their contexts.
//!
//! One virtual machine may serve several plugin configurations, each with a root context and a worker of its own: two
//! listeners, or the old configuration and the new one while Envoy changes over. A request belongs to the root context
//! with which its own was announced. A request is in the table while it waits, or while something is still to be done
//! for it; one that was refused or is exempt is in no table.
//!
//! How it fails: a request that was not announced has no worker, and is refused like one whose worker cannot judge.

use std::cell::RefCell;
use std::collections::HashMap;

use portcullis_core::mix::BuildMixer;

use crate::call::Call;
use crate::worker::Shared;

thread_local! {
    static STREAMS: RefCell<Streams> = RefCell::default();
}

#[derive(Default)]
struct Streams {
    roots: Vec<Root>,
    /// The context that was announced last, and its worker: what it does first, it does next.
    announced: Option<(u32, Shared)>,
    open: HashMap<u32, Stream, BuildMixer>,
}

struct Root {
    context: u32,
    worker: Shared,
    is_done: bool,
}

/// A request that is under way.
#[derive(Debug)]
pub struct Stream {
    /// By whom it is judged.
    pub worker: Shared,
    /// How far it is.
    pub state: State,
}

/// How far a request is.
#[derive(Debug)]
pub enum State {
    /// It waits for the first key set.
    Held,
    /// It was let pass.
    Passing(Box<Call>),
}

/// Takes note of a root context and its worker.
pub fn register(context: u32, worker: Shared) {
    with(|streams| streams.roots.push(Root { context, worker, is_done: false }));
}

/// Forgets a root context.
pub fn unregister(context: u32) {
    with(|streams| streams.roots.retain(|root| root.context != context));
}

/// Whether this is a root context.
pub fn is_root(context: u32) -> bool {
    with(|streams| streams.roots.iter().any(|root| root.context == context)).unwrap_or(false)
}

/// Takes note that a root context is done with everything.
pub fn mark_done(context: u32) {
    with(|streams| {
        let own = streams.roots.iter_mut().filter(|root| root.context == context);
        own.for_each(|root| root.is_done = true);
    });
}

/// Whether this root context is done with everything.
pub fn is_done(context: u32) -> bool {
    with(|streams| streams.roots.iter().any(|root| root.context == context && root.is_done)).unwrap_or(false)
}

/// Takes note of a request that will be judged by the worker of this root context.
pub fn announce(context: u32, root: u32) {
    with(|streams| {
        let worker = streams.roots.iter().find(|known| known.context == root).map(|known| &known.worker);
        streams.announced = worker.map(|worker| (context, Shared::clone(worker)));
    });
}

/// The worker of the request that was announced last, if it is this one.
pub fn announced(context: u32) -> Option<Shared> {
    with(|streams| streams.announced.take())?.filter(|(announced, _)| *announced == context).map(|(_, worker)| worker)
}

/// Keeps a request that is under way.
pub fn open(context: u32, stream: Stream) {
    with(|streams| streams.open.insert(context, stream));
}

/// Does something for a request that was let pass. Nothing happens if this is none.
pub fn with_call(context: u32, work: impl FnOnce(&mut Call, &Shared)) {
    with(|streams| {
        if let Some(Stream { worker, state: State::Passing(call) }) = streams.open.get_mut(&context) {
            work(call, worker);
        }
    });
}

/// Gives up a request that is over, or waits no longer.
pub fn close(context: u32) -> Option<Stream> {
    with(|streams| streams.open.remove(&context))?
}

/// Nothing of what is done within reaches for the table again, so it is always there to be had.
fn with<T>(work: impl FnOnce(&mut Streams) -> T) -> Option<T> {
    STREAMS.with(|streams| streams.try_borrow_mut().ok().map(|mut streams| work(&mut streams)))
}
