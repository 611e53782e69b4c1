//! One worker's life: it follows the control plane, keeps time and publishes metrics.
//!
//! Envoy gives each worker a virtual machine with one root context. That context keeps one long poll open to the
//! control plane (`link`), and reports what has been used (`report`). Requests that came before the first key set are
//! judged as soon as it is in, or refused when their time is up.
//!
//! The requests of a worker wait while one of these callbacks runs, so each does a bounded part of what there is to
//! do, and asks for a tick in a millisecond to go on: Envoy turns to requests in between.
//!
//! A throw-away virtual machine is configured first, to test the configuration; it never ticks, so everything
//! that reaches outside starts in [`RootContext::on_tick`].

use std::rc::Rc;

use proxy_wasm::traits::{Context, RootContext};

use crate::config::Config;
use crate::gauges::{Figures, Gauges};
use crate::host::{self, Level};
use crate::http::{self, Ruling};
use crate::identity::Identity;
use crate::link::Link;
use crate::metrics::Metrics;
use crate::report::Reporter;
use crate::streams::{self, State, Stream};
use crate::worker::{Shared, Worker};

/// How often a worker with nothing urgent to do wakes up: metrics are at most this old.
const TICK_IDLE_MS: u32 = 1_000;
/// How often it wakes up while requests wait, or a poll is due soon.
const TICK_SOON_MS: u32 = 20;
/// How soon it goes on with work of which it has done a part.
const TICK_WORK_MS: u32 = 1;
/// The most held requests that are judged in one callback. Each takes some 15 µs, and then Envoy has to send it on.
const RELEASED_MAX: usize = 32;

/// The root context of one worker.
pub struct Root {
    context: u32,
    worker: Shared,
    link: Link,
    reporter: Reporter,
    /// Whether Envoy has asked it to end.
    is_closing: bool,
    gauges: Gauges,
    began_ms: u64,
    tick_ms: u32,
    published_ms: u64,
    longest_pause_us: u64,
}

impl Root {
    /// The context that Envoy knows by this number.
    pub fn new(context: u32) -> Self {
        let worker = Shared::default();
        streams::register(context, Rc::clone(&worker));
        Self {
            context,
            worker,
            link: Link::default(),
            reporter: Reporter::default(),
            is_closing: false,
            gauges: Gauges::new(host::random()),
            began_ms: host::monotonic_ms(),
            tick_ms: 0,
            published_ms: 0,
            longest_pause_us: 0,
        }
    }

    /// Runs a callback, in which `work` comes first, and keeps how long it kept requests waiting.
    fn run(&mut self, work: impl FnOnce(&mut Self, &mut Worker)) {
        let start_us = host::monotonic_us();
        let shared = Rc::clone(&self.worker);
        let Ok(mut worker) = shared.try_borrow_mut() else {
            return;
        };
        work(self, &mut worker);
        worker.keep_time();
        self.release_held(&mut worker);
        self.publish(&mut worker);
        self.adjust_tick(&worker);
        if self.is_closing && self.reporter.is_closed(&worker) {
            host::done();
            streams::mark_done(self.context);
        }
        let pause_us = host::monotonic_us().saturating_sub(start_us);
        self.longest_pause_us = self.longest_pause_us.max(pause_us);
    }

    /// Judges held requests that need wait no longer.
    fn release_held(&self, worker: &mut Worker) {
        if !worker.holds_any() {
            return;
        }
        let now_ms = host::monotonic_ms();
        for _ in 0..RELEASED_MAX {
            let Some(request) = worker.next_released(now_ms) else {
                break;
            };
            streams::close(request);
            if !host::select(request) {
                continue;
            }
            match http::judge(worker) {
                Ruling::Pass(call) => {
                    if let Some(call) = call {
                        let worker = Rc::clone(&self.worker);
                        streams::open(request, Stream { worker, state: State::Passing(call) });
                    }
                    host::resume_request();
                }
                Ruling::Answered => {}
                Ruling::Wait => http::give_up(worker),
            }
        }
        // What follows in this callback concerns the worker again, not the last request.
        host::select(self.context);
    }

    /// Publishes metrics once a second.
    fn publish(&mut self, worker: &mut Worker) {
        let now_ms = host::monotonic_ms();
        if now_ms.saturating_sub(self.published_ms) < u64::from(TICK_IDLE_MS) {
            return;
        }
        self.published_ms = now_ms;
        worker.metrics.publish();
        let replica = &worker.replica;
        let keys = replica.directory().map_or(0, |directory| directory.keys.len());
        let workers = self.gauges.publish(Figures {
            revision: replica.cursor().map_or(0, |cursor| cursor.revision),
            keys: u64::try_from(keys).unwrap_or(u64::MAX),
            contact_age_ms: replica.staleness_ms(now_ms).unwrap_or(now_ms.saturating_sub(self.began_ms)),
            longest_pause_us: self.longest_pause_us,
            unreported_rows: u64::try_from(worker.ledger.unreported_rows()).unwrap_or(u64::MAX),
        });
        worker.tend_leases(workers);
    }

    /// Ticks as rarely as what is waited for allows.
    fn adjust_tick(&mut self, worker: &Worker) {
        let is_ready = worker.replica.directory().is_some();
        let tick_ms = if self.link.has_work() || (is_ready && worker.holds_any()) {
            TICK_WORK_MS
        } else if self.link.is_waiting() && is_ready && !self.is_closing {
            TICK_IDLE_MS.min(worker.config.report_interval_ms)
        } else {
            TICK_SOON_MS
        };
        if tick_ms != self.tick_ms {
            host::set_tick_period_ms(tick_ms);
            self.tick_ms = tick_ms;
        }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        streams::unregister(self.context);
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, number: u32, _headers: usize, body_size: usize, _trailers: usize) {
        if self.link.awaits(number) {
            self.run(|root, worker| root.link.receive(worker, body_size));
        } else if self.reporter.awaits(number) {
            self.run(|root, worker| root.reporter.receive(worker, body_size));
        }
    }

    /// A new configuration takes over, or Envoy stops: hands over what is left, and asks for the time to do so.
    fn on_done(&mut self) -> bool {
        let shared = Rc::clone(&self.worker);
        let Ok(mut worker) = shared.try_borrow_mut() else {
            return true;
        };
        self.is_closing = self.reporter.close(&mut worker);
        self.adjust_tick(&worker);
        !self.is_closing
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
        let shared = Rc::clone(&self.worker);
        let Ok(mut worker) = shared.try_borrow_mut() else {
            return false;
        };
        self.reporter.begin(config.report_interval_ms);
        worker.config = config;
        worker.metrics = Metrics::define();
        worker.identity = Identity::find();
        self.adjust_tick(&worker);
        true
    }

    fn on_tick(&mut self) {
        self.run(|root, worker| {
            if !root.is_closing {
                root.link.tick(worker);
            }
            root.reporter.tick(worker);
        });
    }
}
