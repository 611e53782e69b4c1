//! A network cable that can go bad: a port of ours that passes bytes on to another one, both ways.
//!
//! It can be slow, hold everything back without a word, break what is connected, or be cut. No byte is lost from a
//! connection that goes on, as TCP would send it again: what a network drops comes late, or with the connection's end.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How bytes fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// They pass at once.
    Calm,
    /// They pass so much later.
    Slow(Duration),
    /// They wait for better weather. New connections are taken, and nothing comes of them.
    Still,
}

/// The cable. It passes on until it is cut or dropped.
#[derive(Debug)]
pub struct Link {
    near: SocketAddr,
    far: SocketAddr,
    strands: Strands,
    weather: watch::Sender<Weather>,
    accepting: Option<JoinHandle<()>>,
}

/// Each connection that was passed on, by its port as the far side sees it.
type Strands = Arc<Mutex<HashMap<u16, JoinHandle<()>>>>;

impl Link {
    /// A cable to `far`, plugged in.
    pub async fn to(far: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let near = listener.local_addr().expect("its address");
        let weather = watch::Sender::new(Weather::Calm);
        let mut link = Self { near, far, strands: Strands::default(), weather, accepting: None };
        link.pass_on(listener);
        link
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.near
    }

    /// The ports from which the far side sees connections come.
    pub fn ports(&self) -> Vec<u16> {
        let mut strands = strands(&self.strands);
        strands.retain(|_, strand| !strand.is_finished());
        strands.keys().copied().collect()
    }

    /// Changes the weather, for connections that are there and for those to come.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Breaks every connection. New ones are passed on.
    pub fn shake(&self) {
        for (_, strand) in strands(&self.strands).drain() {
            strand.abort();
        }
    }

    /// Cuts it: connections break, and new ones are refused.
    pub async fn cut(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // The port is closed once the task is gone.
            let _ = accepting.await;
        }
        self.shake();
    }

    /// Whether it is there, however it fares: not cut.
    pub fn is_plugged_in(&self) -> bool {
        self.accepting.is_some()
    }

    /// Plugs it in again, at the same port.
    pub async fn mend(&mut self) {
        let listener = TcpListener::bind(self.near).await.expect("the port that it had");
        self.pass_on(listener);
    }

    fn pass_on(&mut self, listener: TcpListener) {
        let (far, all, weather) = (self.far, Arc::clone(&self.strands), self.weather.clone());
        self.accepting = Some(tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                // Nobody may be there: then the near side sees its connection end, as it would without a cable.
                let Ok(away) = TcpStream::connect(far).await else { continue };
                let port = away.local_addr().expect("its address").port();
                let strand = tokio::spawn(strand(near, away, weather.subscribe()));
                strands(&all).insert(port, strand);
            }
        }));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
    }
}

fn strands(strands: &Strands) -> MutexGuard<'_, HashMap<u16, JoinHandle<()>>> {
    strands.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes on both ways until both sides have ended, or one of them is broken.
async fn strand(near: TcpStream, away: TcpStream, weather: watch::Receiver<Weather>) {
    for stream in [&near, &away] {
        // A cable that gathers small pieces would be slow by itself.
        let _ = stream.set_nodelay(true);
    }
    let (from_near, to_near) = near.into_split();
    let (from_away, to_away) = away.into_split();
    // However it ends, both sides see it.
    let _ = tokio::try_join!(pump(from_near, to_away, weather.clone()), pump(from_away, to_near, weather));
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let size = from.read(&mut bytes).await?;
        let now = *weather.borrow();
        if let Weather::Slow(delay) = now {
            tokio::time::sleep(delay).await;
        }
        if weather.wait_for(|weather| *weather != Weather::Still).await.is_err() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if size == 0 {
            return to.shutdown().await;
        }
        to.write_all(&bytes[..size]).await?;
    }
}
