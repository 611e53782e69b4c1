//! Ports: which are free, and who wants one that is not.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

/// A port that something needs, and the setting that moves it.
#[derive(Clone, Debug)]
pub struct PortNeed {
    /// What listens there, for people.
    pub what: &'static str,
    /// Where.
    pub address: SocketAddr,
    /// The environment variable that changes it.
    pub setting: &'static str,
    /// A value to set it to, as an example.
    pub example: String,
}

/// A port cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Something else listens there.
    #[error(
        "{} is taken, and {} needs it.\nStop what listens there, or choose another port: {}={} make run",
        .0.address, .0.what, .0.setting, .0.example
    )]
    Taken(Box<PortNeed>),
    /// The address cannot be listened on, for example because it is not this machine's.
    #[error("cannot listen on {} for {} ({}): {error}", need.address, need.what, need.setting)]
    Unusable {
        /// Who needs it.
        need: Box<PortNeed>,
        /// What the operating system said.
        error: io::Error,
    },
    /// Two settings name the same port.
    #[error("{} and {} are both {}", .0.setting, .1.setting, .1.address)]
    SameTwice(Box<PortNeed>, Box<PortNeed>),
}

/// Checks that all of these can be listened on now, and at the same time.
///
/// # Errors
///
/// [`PortError`] for the first that cannot.
pub fn check_free(needs: &[PortNeed]) -> Result<(), PortError> {
    for (index, need) in needs.iter().enumerate() {
        if let Some(other) = needs.iter().take(index).find(|other| other.address == need.address) {
            return Err(PortError::SameTwice(other.clone().into(), need.clone().into()));
        }
    }
    // All are held until the end: a port on every address collides with the same port on one of them.
    let mut held = Vec::with_capacity(needs.len());
    for need in needs {
        match TcpListener::bind(need.address) {
            Ok(listener) => held.push(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(PortError::Taken(need.clone().into()));
            }
            Err(error) => return Err(PortError::Unusable { need: need.clone().into(), error }),
        }
    }
    Ok(())
}

/// Ports on 127.0.0.1 that were free a moment ago, each another one.
///
/// # Errors
///
/// What the operating system says when it has none to give.
pub fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let listeners =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<Vec<TcpListener>>>()?;
    listeners.iter().map(|listener| listener.local_addr().map(|address| address.port())).collect()
}

/// Where a client on this machine reaches what listens on `address`: the loopback for "every address".
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(setting: &'static str, port: u16) -> PortNeed {
        PortNeed { what: "a test", address: ([127, 0, 0, 1], port).into(), setting, example: "1234".to_owned() }
    }

    #[test]
    fn free_ports_are_free_and_different() {
        let ports = free_ports(3).unwrap();
        check_free(&[need("A", ports[0]), need("B", ports[1]), need("C", ports[2])]).unwrap();
    }

    #[test]
    fn a_taken_port_is_named_with_the_setting_that_moves_it() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let message = check_free(&[need("ENVOY_PORT", port)]).unwrap_err().to_string();
        assert!(message.contains(&format!("127.0.0.1:{port} is taken")), "{message}");
        assert!(message.contains("ENVOY_PORT=1234 make run"), "{message}");
    }

    #[test]
    fn one_port_for_two_is_refused() {
        let error = check_free(&[need("A", 1), need("B", 1)]).unwrap_err();
        assert_eq!(error.to_string(), "A and B are both 127.0.0.1:1");
    }

    #[test]
    fn every_address_is_reached_over_loopback() {
        assert_eq!(reachable("0.0.0.0:1".parse().unwrap()), "127.0.0.1:1".parse().unwrap());
        assert_eq!(reachable("[::]:1".parse().unwrap()), "[::1]:1".parse().unwrap());
        assert_eq!(reachable("10.0.0.1:1".parse().unwrap()), "10.0.0.1:1".parse().unwrap());
    }
}
