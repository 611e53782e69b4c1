//! Workers in the database: what two processes say of one worker.

use portcullis_core::id::GatewayId;
use portcullis_core::push::fleet::{Fleet, Unsaved, Worker};
use portcullis_core::wire::Cursor;

use super::*;
use crate::domain::audit::Action;

/// With its latest poll's number for the instant at which it was seen.
fn worker(revision: Option<(u64, u64)>, bound_ms: Option<u64>, polls: u64) -> Worker {
    let applied = revision.map(|(epoch, revision)| Cursor { epoch: Epoch::from_number(epoch), revision });
    Worker {
        name: "w".to_owned(),
        node: Some("n".to_owned()),
        polls,
        last_seen_ms: polls,
        applied,
        bound_ms,
        memory_bytes: Some(1),
    }
}

fn rows(workers: impl IntoIterator<Item = Worker>) -> Vec<Unsaved> {
    let mut fleet = Fleet::new(Epoch::from_number(1), None);
    for worker in workers {
        let bound_ms = worker.bound_ms;
        fleet.saw(GatewayId::from_number(7), worker, bound_ms, 0).unwrap();
    }
    fleet.unsaved()
}

async fn stored(store: &Store) -> Vec<Worker> {
    let workers = store.read().await.unwrap().view().workers().await.unwrap();
    workers.into_iter().map(|(_, worker)| worker).collect()
}

on_both! {
    async fn two_processes_say_no_more_of_a_worker_than_is_certain(fixture: &Fixture) {
        let (one, other) = (&fixture.store, open(&fixture.location).await);
        let save = async |store: &Store, worker: Worker| {
            store.save_workers(&rows([worker])).await.unwrap();
            stored(store).await.remove(0)
        };
        assert_eq!(save(one, worker(None, None, 5)).await, worker(None, None, 5));
        assert_eq!(save(one, worker(Some((1, 9)), Some(4), 6)).await, worker(Some((1, 9)), Some(4), 6));
        // An earlier poll takes nothing back, and a later one no acknowledgement.
        assert_eq!(save(&other, worker(Some((1, 8)), Some(3), 5)).await, worker(Some((1, 9)), Some(4), 6));
        assert_eq!(save(one, worker(None, Some(5), 7)).await, worker(Some((1, 9)), Some(5), 7));
        assert_eq!(save(&other, worker(Some((1, 10)), None, 8)).await, worker(Some((1, 10)), None, 8));
        assert_eq!(save(&other, worker(Some((1, 10)), Some(2), 9)).await, worker(Some((1, 10)), Some(2), 9));
        // Of one poll the longer bound counts.
        assert_eq!(save(one, worker(Some((2, 1)), Some(3), 9)).await, worker(Some((2, 1)), Some(3), 9));
        assert_eq!(save(&other, worker(Some((2, 1)), Some(1), 9)).await, worker(Some((2, 1)), Some(3), 9));
        assert_eq!(one.workers_of_others().await.unwrap().len(), 1);
        assert_eq!(other.workers_of_others().await.unwrap(), []);
    }

    async fn a_thousand_workers_are_stored_at_once(fixture: &Fixture) {
        let many = (0..1_050).map(|number| Worker { name: format!("{number:04}"), ..worker(Some((1, 1)), None, 1) });
        fixture.store.save_workers(&rows(many)).await.unwrap();
        let mut names = stored(&fixture.store).await.into_iter().map(|worker| worker.name).collect::<Vec<_>>();
        names.sort_unstable();
        assert_eq!(names, (0..1_050).map(|number| format!("{number:04}")).collect::<Vec<_>>());
    }

    async fn a_worker_that_was_heard_since_is_not_forgotten(fixture: &Fixture) {
        fixture.store.save_workers(&rows([worker(None, None, 5)])).await.unwrap();
        let forget = async |last_seen_ms| {
            let mut write = fixture.write().await;
            let gone = worker(None, None, last_seen_ms);
            write.forget_worker(Action::WorkerForget, GatewayId::from_number(7), &gone).await.unwrap();
            write.commit().await.unwrap();
            stored(&fixture.store).await.len()
        };
        assert_eq!(forget(4).await, 1);
        assert_eq!(forget(5).await, 0);
    }

    async fn a_new_database_is_settled_and_another_life_of_it_is_not(fixture: &Fixture) {
        let is_settled = async || fixture.store.read().await.unwrap().view().is_settled().await.unwrap();
        assert!(is_settled().await);
        fixture.store.begin_epoch().await.unwrap();
        assert!(!is_settled().await);
        fixture.store.settle().await.unwrap();
        assert!(is_settled().await);
    }
}
