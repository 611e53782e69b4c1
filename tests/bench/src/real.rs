//! A worker with the real state machine and a whole directory, on a thread of its own: its directory belongs to one
//! thread, as in Envoy.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use portcullis_core::digest::Digest;
use portcullis_core::sync::Replica;
use portcullis_tests::random::Random;
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};

use crate::worker::{Identity, Station, Worker};

/// Keys, and where to say whether the worker holds exactly these.
type Question = (Arc<Vec<Digest>>, oneshot::Sender<bool>);

/// A worker that runs. Dropping it ends it.
#[derive(Debug)]
pub struct RealWorker(mpsc::Sender<Question>);

impl RealWorker {
    /// Starts it.
    pub fn start(identity: Identity, station: Arc<Station>, random: Random) -> Self {
        let (ask, mut questions) = mpsc::channel::<Question>(1);
        std::thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let replica = Rc::new(RefCell::new(Replica::default()));
            let running = Worker::new(identity, Rc::clone(&replica), station, random).run();
            let answering = async {
                while let Some((live, answer)) = questions.recv().await {
                    // Whoever asked may have gone.
                    let _ = answer.send(holds(&replica.borrow(), &live));
                }
            };
            runtime.block_on(async {
                tokio::select! {
                    () = running => {}
                    () = answering => {}
                }
            });
        });
        Self(ask)
    }

    /// Whether its directory holds exactly these keys.
    pub async fn holds(&self, live: Arc<Vec<Digest>>) -> bool {
        let (answer, answered) = oneshot::channel();
        self.0.send((live, answer)).await.expect("the worker runs");
        answered.await.expect("the worker runs")
    }
}

fn holds(replica: &Replica, live: &[Digest]) -> bool {
    replica.directory().is_some_and(|directory| {
        directory.keys.len() == live.len() && live.iter().all(|digest| directory.keys.find(digest).is_some())
    })
}
