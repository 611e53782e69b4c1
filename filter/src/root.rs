//! One worker's life: it follows the control plane, keeps time and publishes metrics.
//!
//! Envoy gives each worker a virtual machine with one root context. That context keeps one long poll open to the
//! control plane; the answer is applied by `portcullis_core::sync`, which also says when to poll next. Requests
//! that came before the first key set are judged as soon as it is in, or refused when their time is up.
//!
//! A throw-away virtual machine is configured first, to test the configuration; it never ticks, so everything
//! that reaches outside starts in [`RootContext::on_tick`].

use std::rc::Rc;
use std::time::Duration;

use portcullis_core::directory::Directory;
use portcullis_core::sync::{POLL_WAIT_MS, Step};
use portcullis_core::wire::{CHANGES_PATH, MEMORY_HEADER, NODE_HEADER, WORKER_HEADER};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::config::Config;
use crate::host::{self, Level};
use crate::http::{self, Gate, Ruling};
use crate::metrics::{Metrics, PollResult};
use crate::worker::Shared;

/// How often a worker with nothing urgent to do wakes up: metrics are at most this old.
const TICK_IDLE_MS: u32 = 1_000;
/// How often it wakes up while requests wait, or a poll is due soon.
const TICK_BUSY_MS: u32 = 20;
/// How long Envoy waits for the answer to a poll: longer than the control plane may hold it back.
const POLL_TIMEOUT_MS: u64 = 30_000;
const _: () = assert!(POLL_TIMEOUT_MS > POLL_WAIT_MS as u64);
/// The longest node id that is told to the control plane, in bytes.
const NODE_BYTES_MAX: usize = 128;

/// The root context of one worker.
pub struct Root {
    context: u32,
    worker: Shared,
    /// This start of the virtual machine, told apart from every other.
    name: String,
    node: String,
    poll: PollState,
    tick_ms: u32,
    published_ms: u64,
    /// When the first poll was sent, to tell how long the first key set took.
    first_poll_ms: Option<u64>,
}

/// Where the one poll that a worker has is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PollState {
    /// To be sent when the monotonic clock shows this.
    DueAt(u64),
    /// Under way, with the callout's number. Envoy ends every callout; if it has not when the monotonic clock shows
    /// this, the poll is given up, because a worker that no longer polls would keep deleted keys for ever.
    UnderWay { number: u32, overdue_ms: u64 },
}

impl Root {
    /// The context that Envoy knows by this number.
    pub fn new(context: u32) -> Self {
        Self {
            context,
            worker: Shared::default(),
            name: String::new(),
            node: "-".to_owned(),
            poll: PollState::DueAt(0),
            tick_ms: 0,
            published_ms: 0,
            first_poll_ms: None,
        }
    }

    /// Sends the next poll.
    fn send_poll(&mut self) {
        self.poll_in(TICK_IDLE_MS);
        let Ok(mut worker) = self.worker.try_borrow_mut() else {
            return;
        };
        self.first_poll_ms.get_or_insert_with(host::monotonic_ms);
        let poll = worker.replica.poll(host::monotonic_ms());
        let path = format!("{CHANGES_PATH}?{poll}");
        let authorization = format!("Bearer {}", worker.config.token);
        let memory = host::memory_bytes().to_string();
        let headers = vec![
            (":method", "GET"),
            (":path", path.as_str()),
            (":authority", worker.config.cluster.as_str()),
            ("authorization", authorization.as_str()),
            (WORKER_HEADER, self.name.as_str()),
            (NODE_HEADER, self.node.as_str()),
            (MEMORY_HEADER, memory.as_str()),
        ];
        let timeout = Duration::from_millis(POLL_TIMEOUT_MS);
        if let Some(number) = host::call(&worker.config.cluster, headers, timeout) {
            let overdue_ms = host::monotonic_ms().saturating_add(POLL_TIMEOUT_MS.saturating_mul(2));
            self.poll = PollState::UnderWay { number, overdue_ms };
        } else {
            worker.metrics.count_poll(PollResult::Failed);
            let step = worker.replica.failed(random());
            drop(worker);
            self.follow(step);
        }
    }

    /// Does what the sync state machine says.
    fn follow(&mut self, step: Step) {
        match step {
            Step::Poll => self.send_poll(),
            Step::PollAfter(pause_ms) => self.poll_in(pause_ms),
            // Envoy gives each answer to the callout that asked for it, so no other answer is on its way.
            Step::Ignore => self.poll_in(TICK_IDLE_MS),
        }
    }

    /// Plans the next poll.
    fn poll_in(&mut self, pause_ms: u32) {
        self.poll = PollState::DueAt(host::monotonic_ms().saturating_add(u64::from(pause_ms)));
    }

    /// Takes the answer to the poll that is under way.
    fn receive(&self, body_size: usize) -> Step {
        let Ok(mut worker) = self.worker.try_borrow_mut() else {
            return Step::PollAfter(TICK_IDLE_MS);
        };
        // The headers of a call that got no answer at all are not there to be asked for.
        let status = host::call_response_status();
        let body = match status {
            Some(200) => host::call_response_body(body_size),
            Some(_) | None => None,
        };
        let Some(body) = body else {
            let shown = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            host::log(Level::Warn, &format!("portcullis: poll of the control plane failed: {shown}"));
            worker.metrics.count_poll(PollResult::Failed);
            return worker.replica.failed(random());
        };
        let was_ready = worker.replica.directory().is_some();
        let (step, result) = worker.replica.answered(body, host::monotonic_ms(), random());
        match result {
            Ok(()) => worker.metrics.count_poll(PollResult::Applied),
            Err(rejection) => {
                host::log(Level::Error, &format!("portcullis: answer of the control plane rejected: {rejection}"));
                worker.metrics.count_poll(PollResult::Rejected);
            }
        }
        if let (false, Some(directory)) = (was_ready, worker.replica.directory()) {
            self.log_ready(directory);
        }
        step
    }

    fn log_ready(&self, directory: &Directory) {
        let (keys, apis) = (directory.keys.len(), directory.apis.len());
        let now_ms = host::monotonic_ms();
        let took_ms = now_ms.saturating_sub(self.first_poll_ms.unwrap_or(now_ms));
        let bytes = host::memory_bytes();
        host::log(
            Level::Info,
            &format!(
                "portcullis: ready with {keys} keys and {apis} APIs after {took_ms} ms, in {bytes} bytes of memory"
            ),
        );
    }

    /// Judges the held requests that need wait no longer.
    fn release_held(&self) {
        let Ok(mut worker) = self.worker.try_borrow_mut() else {
            return;
        };
        if !worker.holds_any() {
            return;
        }
        let now_ms = host::monotonic_ms();
        while let Some(request) = worker.next_released(now_ms) {
            if !host::select(request) {
                continue;
            }
            match http::judge(&mut worker) {
                Ruling::Pass => {
                    host::resume_request();
                }
                Ruling::Answered => {}
                Ruling::Wait => http::give_up(&mut worker),
            }
        }
        // What follows in this callback concerns the worker again, not the last request.
        host::select(self.context);
    }

    /// Publishes metrics once a second.
    fn publish(&mut self) {
        let now_ms = host::monotonic_ms();
        if now_ms.saturating_sub(self.published_ms) < u64::from(TICK_IDLE_MS) {
            return;
        }
        if let Ok(mut worker) = self.worker.try_borrow_mut() {
            worker.metrics.publish();
            self.published_ms = now_ms;
        }
    }

    /// Ticks as rarely as what is waited for allows.
    fn adjust_tick(&mut self) {
        let settled =
            self.worker.try_borrow().is_ok_and(|worker| worker.replica.directory().is_some() && !worker.holds_any());
        let tick_ms = match self.poll {
            PollState::UnderWay { .. } if settled => TICK_IDLE_MS,
            PollState::UnderWay { .. } | PollState::DueAt(_) => TICK_BUSY_MS,
        };
        if tick_ms != self.tick_ms {
            host::set_tick_period_ms(tick_ms);
            self.tick_ms = tick_ms;
        }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, number: u32, _headers: usize, body_size: usize, _trailers: usize) {
        if !matches!(self.poll, PollState::UnderWay { number: asked, .. } if asked == number) {
            return;
        }
        let step = self.receive(body_size);
        // The next poll goes out first: it acknowledges what was just applied.
        self.follow(step);
        self.release_held();
        self.adjust_tick();
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let json = host::plugin_configuration(size).unwrap_or_default();
        let config = match Config::read(&json, |name| std::env::var(name).ok()) {
            Ok(config) => config,
            Err(error) => {
                host::log(Level::Error, &format!("portcullis: {error}"));
                return false;
            }
        };
        let Ok(mut worker) = self.worker.try_borrow_mut() else {
            return false;
        };
        worker.config = config;
        worker.metrics = Metrics::define();
        drop(worker);
        self.name = format!("{:016x}", host::random());
        self.node = node();
        self.adjust_tick();
        true
    }

    fn on_tick(&mut self) {
        let (PollState::DueAt(due_ms) | PollState::UnderWay { overdue_ms: due_ms, .. }) = self.poll;
        if due_ms <= host::monotonic_ms() {
            self.send_poll();
        }
        self.release_held();
        self.publish();
        self.adjust_tick();
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Gate::new(context, Rc::clone(&self.worker))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// Envoy's node id, as far as a header can hold it.
fn node() -> String {
    let id = host::property("xds\0node\0id").unwrap_or_default();
    let visible = id.into_iter().filter(u8::is_ascii_graphic).map(char::from);
    let node = visible.take(NODE_BYTES_MAX).collect::<String>();
    if node.is_empty() { "-".to_owned() } else { node }
}

/// Any random number.
fn random() -> u32 {
    let [a, b, c, d, ..] = host::random().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
