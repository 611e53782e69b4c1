//! A network cable that can be cut: a port of ours that passes bytes on to another one, both ways.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The cable. It passes on until it is cut or dropped.
#[derive(Debug)]
pub struct Link {
    near: SocketAddr,
    far: SocketAddr,
    strands: Strands,
    accepting: Option<JoinHandle<()>>,
}

/// Each connection that was passed on, by its port as the far side sees it.
type Strands = Arc<Mutex<HashMap<u16, JoinHandle<()>>>>;

impl Link {
    /// A cable to `far`, plugged in.
    pub async fn to(far: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let near = listener.local_addr().expect("its address");
        let mut link = Self { near, far, strands: Strands::default(), accepting: None };
        link.pass_on(listener);
        link
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.near
    }

    /// The ports from which the far side sees connections come.
    pub fn ports(&self) -> Vec<u16> {
        let mut strands = self.strands.lock().unwrap_or_else(PoisonError::into_inner);
        strands.retain(|_, strand| !strand.is_finished());
        strands.keys().copied().collect()
    }

    /// Cuts it: connections break, and new ones are refused.
    pub async fn cut(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // The port is closed once the task is gone.
            let _ = accepting.await;
        }
        for (_, strand) in self.strands.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            strand.abort();
        }
    }

    /// Plugs it in again, at the same port.
    pub async fn mend(&mut self) {
        let listener = TcpListener::bind(self.near).await.expect("the port that it had");
        self.pass_on(listener);
    }

    fn pass_on(&mut self, listener: TcpListener) {
        let (far, strands) = (self.far, Arc::clone(&self.strands));
        self.accepting = Some(tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut away = TcpStream::connect(far).await.expect("the far side");
                let port = away.local_addr().expect("its address").port();
                let strand = tokio::spawn(async move {
                    // However it ends, both sides see it.
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut away).await;
                });
                strands.lock().unwrap_or_else(PoisonError::into_inner).insert(port, strand);
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
