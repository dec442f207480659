//! `/metrics`, `/health` and `/ready` over HTTP/1.1, off unless configured.
//!
//! Answers one GET per connection and closes it. Requests, connections and their time are bounded; nothing
//! here touches the workers that serve Kafka's protocol.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::metrics::Metrics;

const MAX_CONNECTIONS: usize = 16;
const MAX_REQUEST_SIZE_BYTES: usize = 8 * 1024;
const MAX_HEADERS: usize = 64;

/// A client has this long for its request and for taking the answer.
const MAX_CONNECTION_DURATION: Duration = Duration::from_secs(10);

/// How long accepting rests after a failure, as when the process is out of file descriptors.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

/// Whether something is as it should be; if not, a sentence that says what is wrong.
pub type Check = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What is told.
pub struct Endpoints {
    pub metrics: Arc<Metrics>,
    /// `/health`: whether the process should be left running.
    pub health: Check,
    /// `/ready`: whether clients are served.
    pub ready: Check,
}

/// Binds `address`, `host:port`.
pub fn bind(address: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let mut resolved = address.to_socket_addrs().with_context(|| format!("cannot resolve {address}"))?;
    let resolved = resolved.next().with_context(|| format!("{address} has no address"))?;
    let bound = TcpListener::bind(resolved).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.with_context(|| format!("cannot listen on {resolved}"))
}

/// Serves until the future is dropped.
pub async fn serve(listener: TcpListener, endpoints: Arc<Endpoints>) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener).context("watch the metrics listener")?;
    let mut connections = JoinSet::new();
    loop {
        if connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
        tokio::select! {
            biased;
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let endpoints = endpoints.clone();
                    connections.spawn(async move {
                        let answered = answer(stream, endpoints);
                        let answered = tokio::time::timeout(MAX_CONNECTION_DURATION, answered).await;
                        if let Ok(Err(error)) = answered {
                            debug!(%peer, %error, "metrics connection ended early");
                        }
                    });
                }
                Err(error) => {
                    warn!(%error, "cannot accept metrics connections for now");
                    tokio::time::sleep(ACCEPT_BACK_OFF).await;
                }
            },
        }
    }
}

/// The status line's end and the body.
type Answer = (&'static str, String);

async fn answer(mut stream: TcpStream, endpoints: Arc<Endpoints>) -> io::Result<()> {
    let mut request = Vec::new();
    let (status, body) = loop {
        let (so_far, of) = (request, endpoints.clone());
        // Committed offsets are read from disk.
        let responding = tokio::task::spawn_blocking(move || (respond(&so_far, &of), so_far));
        let (answer, so_far) = responding.await?;
        if let Some(answer) = answer {
            break answer;
        }
        request = so_far;
        if request.len() >= MAX_REQUEST_SIZE_BYTES {
            break ("431 Request Header Fields Too Large", String::new());
        }
        let room = MAX_REQUEST_SIZE_BYTES - request.len();
        if (&mut stream).take(room as u64).read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nAllow: GET\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// The answer to a request, once it is whole or cannot become one.
fn respond(request: &[u8], endpoints: &Endpoints) -> Option<Answer> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(request) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return None,
        Err(error) => return Some(("400 Bad Request", format!("{error}\n"))),
    }
    if parsed.method != Some("GET") {
        return Some(("405 Method Not Allowed", String::new()));
    }
    let path = parsed.path.unwrap_or_default();
    let path = path.split_once('?').map_or(path, |(path, _query)| path);
    Some(match path {
        "/metrics" => ("200 OK", endpoints.metrics.render()),
        "/health" => tell(&endpoints.health),
        "/ready" => tell(&endpoints.ready),
        _ => ("404 Not Found", "There is /metrics, /health and /ready.\n".to_owned()),
    })
}

fn tell(check: &Check) -> Answer {
    match check() {
        Ok(()) => ("200 OK", "ok\n".to_owned()),
        Err(reason) => ("503 Service Unavailable", format!("{reason}\n")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn endpoints() -> Endpoints {
        Endpoints {
            metrics: Arc::default(),
            health: Box::new(|| Ok(())),
            ready: Box::new(|| Err("recovering logs".to_owned())),
        }
    }

    fn status(request: &str) -> Option<&'static str> {
        respond(request.as_bytes(), &endpoints()).map(|(status, _)| status)
    }

    #[test]
    fn each_path_has_its_answer() {
        for (request, expected) in [
            ("GET /metrics HTTP/1.1\r\n\r\n", "200 OK"),
            ("GET /metrics?x=1 HTTP/1.0\r\nHost: a\r\n\r\n", "200 OK"),
            ("GET /health HTTP/1.1\r\n\r\n", "200 OK"),
            ("GET /ready HTTP/1.1\r\n\r\n", "503 Service Unavailable"),
            ("GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
            ("\0\0\0\x12\0\x03", "400 Bad Request"),
        ] {
            assert_eq!(status(request), Some(expected), "{request}");
        }
    }

    #[test]
    fn a_request_cut_at_any_byte_waits_for_the_rest() {
        let request = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
        for cut in 0..request.len() {
            assert_eq!(status(&request[..cut]), None, "cut at {cut}");
        }
    }

    /// Sends `request` to a server on a real socket and returns everything it answers.
    fn exchange(request: &[u8]) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (listener, address) = bind("127.0.0.1:0").expect("bind");
        let request = request.to_vec();
        let client = std::thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(address).expect("connect");
            stream.write_all(&request).expect("write");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            answer
        });
        let serving = serve(listener, Arc::new(endpoints()));
        runtime.block_on(async {
            tokio::select! {
                ended = serving => panic!("serving never ends: {ended:?}"),
                answer = tokio::task::spawn_blocking(|| client.join().expect("an answer")) => {
                    answer.expect("joined")
                }
            }
        })
    }

    #[test]
    fn metrics_come_with_their_length_over_a_socket() {
        let answer = exchange(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        assert!(body.contains("kafka_server_socket_server_metrics_incoming_byte_total 0\n"), "{body}");
    }

    #[test]
    fn a_request_that_never_ends_is_refused() {
        let endless = [b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'a'; MAX_REQUEST_SIZE_BYTES]].concat();
        assert!(exchange(&endless[..MAX_REQUEST_SIZE_BYTES]).starts_with("HTTP/1.1 431 "));
    }
}
