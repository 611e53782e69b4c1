//! The machine, which tests share: loads need it for themselves.
//!
//! A lock of one test program: the programs run one after the other.

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Tests that make a load hold this exclusively.
static MACHINE: RwLock<()> = RwLock::const_new(());

/// Waits until no other test of this program runs that shares the machine, and keeps them from it.
pub async fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().await
}

/// Waits until no test runs that needs the machine for itself.
pub async fn among_others() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().await
}
