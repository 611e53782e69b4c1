//! Requests at a fixed rate, whether or not Envoy keeps up.
//!
//! Each request is due at an instant, and its time counts from there until its answer was looked at: a request that had to
//! wait because those before it were slow has waited, though nobody sent it (what is called coordinated omission). That is
//! what callers see who do not know of each other. A request is sent on the connection that has been idle for longest.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::load::{Load, check};

/// How often, and what is done in between.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Requests in a second.
    pub per_second: u32,
    /// What is done while nothing has come and nothing is due.
    pub rest: fn(),
}

impl Pace {
    /// So many in a second, by a generator that never sleeps, as waking up takes a while; it lets others go first.
    pub const fn awake(per_second: u32) -> Self {
        Self { per_second, rest: std::thread::yield_now }
    }

    /// So many in a second, by a generator that sleeps for a moment where it can, for those who run on its core.
    pub const fn sleeping(per_second: u32) -> Self {
        Self { per_second, rest: || std::thread::sleep(Duration::from_micros(50)) }
    }

    /// When the request with this number is due, after the first.
    fn due(self, number: u32) -> Duration {
        Duration::from_secs(1) * number / self.per_second
    }
}

impl Load {
    /// Sends requests at this pace until it is over, which is asked often, and waits for all answers. How long each took.
    pub fn run_at(&mut self, pace: Pace, mut is_over: impl FnMut(Duration) -> bool) -> Vec<Duration> {
        self.connections.iter().for_each(|connection| connection.set_waiting(false));
        let mut idle = (0..self.connections.len()).collect::<VecDeque<_>>();
        let mut busy = Vec::<(usize, Instant)>::new();
        let (mut times, mut number, mut end) = (Vec::new(), 0, None);
        let start = Instant::now();
        loop {
            let elapsed = start.elapsed();
            if end.is_none() && is_over(elapsed) {
                end = Some(elapsed);
            }
            let until = end.unwrap_or(elapsed);
            while pace.due(number) < until
                && let Some(place) = idle.pop_front()
            {
                self.connections[place].send(self.texts.next());
                busy.push((place, start + pace.due(number)));
                number += 1;
            }
            let under_way = busy.len();
            busy.retain(|(place, due)| {
                let is_answered = self.look(*place);
                if is_answered {
                    times.push(due.elapsed());
                    idle.push_back(*place);
                }
                !is_answered
            });
            if busy.len() == under_way {
                if busy.is_empty() && end.is_some_and(|end| pace.due(number) >= end) {
                    break;
                }
                (pace.rest)();
            }
        }
        self.connections.iter().for_each(|connection| connection.set_waiting(true));
        times
    }

    /// Whether the answer on this connection has come; it is as expected then.
    fn look(&mut self, place: usize) -> bool {
        let Some(answer) = self.connections[place].look() else { return false };
        check(self.answer.differs(answer));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_at_equal_distances() {
        let pace = Pace::awake(2_000);
        assert_eq!([0, 1, 3].map(|number| pace.due(number)), [0, 500, 1_500].map(Duration::from_micros));
        assert_eq!(pace.due(4_000_000), Duration::from_secs(2_000));
    }
}
