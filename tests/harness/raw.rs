//! HTTP/1.1 over a bare socket, for requests that no client library would send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

/// An answer, or what there was of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status; `None` if the connection was closed without one.
    pub status: Option<u16>,
    /// Names, lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(candidate, _)| candidate == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The code of a refusal; empty if it is none.
    pub fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Header fields and pseudo-header fields, as text whose characters U+0000 to U+00FF stand for bytes.
pub type Fields = Vec<(String, String)>;

/// Sends `request` as it is and reads one answer, or until the connection is closed.
pub async fn send(address: SocketAddr, request: &[u8]) -> Answer {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        // Envoy may answer and close before it has read everything; what it answered counts.
        let _ = stream.write_all(request).await;
        let mut received = Vec::new();
        let mut part = [0; 16_384];
        while let Ok(size @ 1..) = stream.read(&mut part).await {
            received.extend_from_slice(&part[..size]);
            // Envoy keeps a connection for a second after it has refused a request on it.
            if parse(&received).1 {
                break;
            }
        }
        parse(&received).0
    };
    timeout(PATIENCE, exchange).await.expect("an answer in time")
}

/// The HTTP/1.1 request with these fields; it asks for the connection to be closed.
pub fn request(fields: &Fields) -> Vec<u8> {
    let pseudo = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone());
    let method = pseudo(":method").unwrap_or_default();
    let authority = pseudo(":authority").unwrap_or_default();
    let target = pseudo(":path").unwrap_or_else(|| authority.clone());
    let mut text = format!("{method} {target} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n");
    for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with(':')) {
        text += &format!("{name}: {value}\r\n");
    }
    text += "\r\n";
    text.chars().map(|character| u8::try_from(character).expect("a byte")).collect()
}

/// The answer as far as it has come, and whether that is all of it.
fn parse(received: &[u8]) -> (Answer, bool) {
    let text = String::from_utf8_lossy(received);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return (Answer::default(), false);
    };
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let answer = Answer { status, headers, body: body.to_owned() };
    let length = answer.header("content-length").and_then(|length| length.parse().ok());
    let whole = length.is_some_and(|length: usize| body.len() >= length);
    (answer, whole)
}
