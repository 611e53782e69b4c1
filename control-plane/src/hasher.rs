//! Where passwords are hashed: off the threads that serve requests, and a few at a time.
//!
//! A computation takes a processor for tens of milliseconds and 19 MiB. Two run at once; the others wait, up to two
//! seconds, and are then turned away. So a flood of sign-ins delays sign-ins, and neither the admin API nor the
//! sync port, and its memory is bounded. A caller that goes away gives back its place when its computation ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::domain::environment::Entropy;
use crate::domain::password::{self, HashError, Password, PasswordHash};

/// How many computations run at once.
const CONCURRENT_MAX: usize = 2;
/// How long one waits for its turn.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Hashes passwords. Clones share their turns.
#[derive(Debug, Clone)]
pub struct Hasher {
    turns: Arc<Semaphore>,
    entropy: Entropy,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HasherError {
    /// Too many others are waiting. Trying again later may help.
    #[error("too many passwords are being checked")]
    Busy,
    /// There is no hash.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The computation did not end, because the program does.
    #[error("the computation was cut short")]
    Stopped,
}

impl Hasher {
    /// A hasher that draws its salts from `entropy`.
    pub fn new(entropy: Entropy) -> Self {
        Self { turns: Arc::new(Semaphore::new(CONCURRENT_MAX)), entropy }
    }

    /// Hashes a password, see [`password::hash`].
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, HasherError> {
        let entropy = self.entropy.clone();
        Ok(self.compute(move || password::hash(&password, &entropy)).await??)
    }

    /// Whether it is the password that was hashed; None is a user that does not exist, see [`password::verify`].
    pub async fn verify(&self, password: Password, hash: Option<PasswordHash>) -> Result<bool, HasherError> {
        self.compute(move || password::verify(&password, hash.as_ref())).await
    }

    async fn compute<T: Send + 'static>(
        &self,
        computation: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HasherError> {
        let turn = self.turn().await?;
        let computed = spawn_blocking(move || {
            let computed = computation();
            drop(turn);
            computed
        });
        computed.await.map_err(|_| HasherError::Stopped)
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, HasherError> {
        let turn = timeout(WAIT_MAX, Arc::clone(&self.turns).acquire_owned()).await;
        turn.map_err(|_| HasherError::Busy)?.map_err(|_| HasherError::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::present(text.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn what_is_hashed_here_verifies_here() {
        let hasher = Hasher::new(Entropy::system());
        let hash = hasher.hash(password("correct horse")).await.unwrap();
        assert_eq!(hasher.verify(password("correct horse"), Some(hash.clone())).await, Ok(true));
        assert_eq!(hasher.verify(password("wrong"), Some(hash)).await, Ok(false));
        assert_eq!(hasher.verify(password("correct horse"), None).await, Ok(false));
        assert_eq!(hasher.turns.available_permits(), CONCURRENT_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_turned_away_and_the_next_is_served() {
        let hasher = Hasher::new(Entropy::system());
        let all = Arc::clone(&hasher.turns).acquire_many_owned(2).await.unwrap();
        let start = tokio::time::Instant::now();
        assert_eq!(hasher.verify(password("wrong"), None).await, Err(HasherError::Busy));
        assert_eq!(start.elapsed(), WAIT_MAX);
        drop(all);
        assert_eq!(hasher.verify(password("wrong"), None).await, Ok(false));
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_keeps_its_turn_until_the_computation_ends() {
        let hasher = Hasher::new(Entropy::system());
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        let caller = tokio::spawn({
            let hasher = hasher.clone();
            async move { hasher.compute(move || finished.recv()).await }
        });
        while hasher.turns.available_permits() == CONCURRENT_MAX {
            tokio::task::yield_now().await;
        }
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        assert_eq!(hasher.turns.available_permits(), CONCURRENT_MAX - 1);
        finish.send(()).unwrap();
        let all = hasher.turns.acquire_many(2).await.unwrap();
        drop(all);
    }
}
