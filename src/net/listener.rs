//! Listening sockets: binding them, accepting, and the limits on how many connections there may be
//! (`SocketServer.Acceptor`, `ConnectionQuotas`).

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{Notify, mpsc};
use tracing::{debug, warn};

use super::balance::Balance;
use crate::env::clock::Clock;
use crate::handlers::reply::Peer;
use crate::telemetry::metrics::ListenerMetrics;

/// How long accepting rests when the process has no file descriptor or memory left for a connection.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

/// Ports tried when a listener on several addresses asks for any free port.
const MAX_PORT_ATTEMPTS: usize = 20;

/// One entry of `listeners`.
#[derive(Clone, Debug)]
pub struct ListenerOptions {
    pub name: Arc<str>,
    /// Empty for all interfaces.
    pub host: String,
    /// 0 for any free port.
    pub port: u16,
    /// `listener.name.<name>.max.connections`
    pub max_connections: usize,
}

/// How sockets are set up.
#[derive(Clone, Copy, Debug)]
pub struct SocketOptions {
    /// `socket.listen.backlog.size`
    pub backlog: i32,
    /// `socket.send.buffer.bytes`; none leaves it to the system.
    pub send_buffer_size_bytes: Option<usize>,
    /// `socket.receive.buffer.bytes`; none leaves it to the system.
    pub receive_buffer_size_bytes: Option<usize>,
}

/// One bound address of a listener.
#[derive(Debug)]
pub struct BoundSocket {
    pub listener: Arc<str>,
    pub address: SocketAddr,
    max_connections: usize,
    socket: TcpListener,
}

/// Binds the addresses of a listener. `localhost` is both loopback addresses, as some systems resolve it
/// to the one and some to the other; IPv6 may be missing.
pub fn bind(options: &ListenerOptions, sockets: &SocketOptions) -> anyhow::Result<Vec<BoundSocket>> {
    let addresses = resolve(options)?;
    for _ in 1..MAX_PORT_ATTEMPTS {
        match bind_all(&addresses, options, sockets) {
            Err(error) if options.port == 0 && is_address_in_use(&error) => continue,
            result => return result,
        }
    }
    bind_all(&addresses, options, sockets)
}

fn resolve(options: &ListenerOptions) -> anyhow::Result<Vec<SocketAddr>> {
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    match options.host.as_str() {
        "" => Ok(vec![SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), options.port)]),
        "localhost" => Ok(loopback.map(|ip| SocketAddr::new(ip, options.port)).to_vec()),
        host => {
            let resolved = (host, options.port).to_socket_addrs();
            let mut addresses = resolved
                .with_context(|| format!("cannot resolve host {host} of listener {}", options.name))?;
            match addresses.next() {
                Some(address) => Ok(vec![address]),
                None => bail!("host {host} of listener {} has no address", options.name),
            }
        }
    }
}

fn bind_all(
    addresses: &[SocketAddr],
    options: &ListenerOptions,
    sockets: &SocketOptions,
) -> anyhow::Result<Vec<BoundSocket>> {
    let mut bound: Vec<BoundSocket> = Vec::new();
    for address in addresses {
        // All addresses of a listener share its port.
        let port = bound.first().map_or(address.port(), |first| first.address.port());
        let mut address = SocketAddr::new(address.ip(), port);
        let mut result = bind_one(address, sockets);
        if is_unsupported(&result) && address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
            address.set_ip(Ipv4Addr::UNSPECIFIED.into());
            result = bind_one(address, sockets);
        }
        if is_unsupported(&result) && !bound.is_empty() {
            debug!(%address, listener = %options.name, "no such address here");
            continue;
        }
        let (socket, address) =
            result.with_context(|| format!("cannot listen on {address} (listener {})", options.name))?;
        let (listener, max_connections) = (options.name.clone(), options.max_connections);
        bound.push(BoundSocket { listener, address, max_connections, socket });
    }
    Ok(bound)
}

fn bind_one(address: SocketAddr, options: &SocketOptions) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart need not wait for old connections; two listeners at once are still refused.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED))?;
    }
    // Accepted sockets inherit the buffer sizes.
    if let Some(size_bytes) = options.receive_buffer_size_bytes {
        socket.set_recv_buffer_size(size_bytes)?;
    }
    if let Some(size_bytes) = options.send_buffer_size_bytes {
        socket.set_send_buffer_size(size_bytes)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(options.backlog)?;
    let listener = TcpListener::from(socket);
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn is_unsupported<T>(result: &io::Result<T>) -> bool {
    let errno = result.as_ref().err().and_then(Errno::from_io_error);
    matches!(errno, Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

fn is_address_in_use(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// A connection on its way to its worker.
#[derive(Debug)]
pub struct Accepted {
    pub stream: TcpStream,
    pub peer: Peer,
    pub permit: Permit,
    /// What another worker has received and not handled; none when it is new.
    pub moved: Option<Box<[u8]>>,
}

/// `max.connections`, `max.connections.per.ip`, `max.connections.per.ip.overrides`.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionQuotas {
    pub max_connections: usize,
    pub max_connections_per_ip: usize,
    pub per_ip_overrides: HashMap<IpAddr, usize>,
}

/// Counts connections and says whether there may be one more.
#[derive(Debug)]
pub struct ConnectionCounts {
    quotas: ArcSwap<ConnectionQuotas>,
    counts: Mutex<Counts>,
    /// A connection ended, or the quotas are others.
    room_came: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_listener: HashMap<Arc<str>, usize>,
    by_ip: HashMap<IpAddr, usize>,
}

/// The right to be connected; gives its place back when dropped.
#[derive(Debug)]
pub struct Permit {
    counts: Arc<ConnectionCounts>,
    listener: Arc<str>,
    ip: IpAddr,
    metrics: Arc<ListenerMetrics>,
}

impl ConnectionCounts {
    pub fn new(quotas: ConnectionQuotas) -> ConnectionCounts {
        let quotas = ArcSwap::from_pointee(quotas);
        ConnectionCounts { quotas, counts: Mutex::default(), room_came: Notify::new() }
    }

    /// Other limits from here on (KIP-402). Connections that are beyond them stay.
    pub fn set_quotas(&self, quotas: ConnectionQuotas) {
        self.quotas.store(Arc::new(quotas));
        self.room_came.notify_waiters();
    }

    /// Waits until the broker and the listener have room for one more connection.
    async fn wait_for_room(&self, listener: &Arc<str>, max_of_listener: usize) {
        loop {
            let room_came = self.room_came.notified();
            {
                let counts = self.counts.lock();
                let of_listener = counts.by_listener.get(listener).copied().unwrap_or(0);
                if counts.total < self.quotas.load().max_connections && of_listener < max_of_listener {
                    return;
                }
            }
            room_came.await;
        }
    }

    /// Counts the connection in; false when its address has as many as it may.
    fn enter(&self, listener: &Arc<str>, ip: IpAddr) -> bool {
        let quotas = self.quotas.load();
        let max = quotas.per_ip_overrides.get(&ip).copied().unwrap_or(quotas.max_connections_per_ip);
        let mut counts = self.counts.lock();
        let of_ip = counts.by_ip.entry(ip).or_insert(0);
        if *of_ip >= max {
            if *of_ip == 0 {
                counts.by_ip.remove(&ip);
            }
            return false;
        }
        *of_ip += 1;
        counts.total += 1;
        *counts.by_listener.entry(listener.clone()).or_insert(0) += 1;
        true
    }

    fn leave(&self, listener: &Arc<str>, ip: IpAddr) {
        let mut counts = self.counts.lock();
        counts.total -= 1;
        if let Some(count) = counts.by_listener.get_mut(listener) {
            *count -= 1;
        }
        if let Some(count) = counts.by_ip.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                counts.by_ip.remove(&ip);
            }
        }
        drop(counts);
        self.room_came.notify_waiters();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.counts.leave(&self.listener, self.ip);
        self.metrics.ended();
    }
}

/// Where connections go: the queue of each worker.
pub type WorkerQueues = Arc<[mpsc::Sender<Accepted>]>;

/// What the listeners of a server share.
#[derive(Clone)]
pub struct Acceptor {
    pub counts: Arc<ConnectionCounts>,
    pub queues: WorkerQueues,
    /// That of the worker which accepts.
    pub balance: Rc<Balance>,
    pub clock: Clock,
}

/// Accepts until the task is dropped.
pub async fn accept(bound: BoundSocket, acceptor: Acceptor, metrics: Arc<ListenerMetrics>) {
    let Acceptor { counts, queues, balance, clock } = acceptor;
    let socket = tokio::net::TcpListener::from_std(bound.socket)
        .expect("a fresh runtime watches a socket that listens");
    let mut starved = false;
    loop {
        let (stream, address) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_out_of_resources(&error) => {
                if !starved {
                    warn!(listener = %bound.listener, %error, "cannot accept connections for now");
                }
                starved = true;
                tokio::time::sleep(ACCEPT_BACK_OFF).await;
                continue;
            }
            Err(error) => {
                debug!(listener = %bound.listener, %error, "a connection ended before it was accepted");
                continue;
            }
        };
        starved = false;
        // At `max.connections` this one waits, and the others in the backlog, as with Kafka.
        counts.wait_for_room(&bound.listener, bound.max_connections).await;
        let ip = address.ip().to_canonical();
        if !counts.enter(&bound.listener, ip) {
            metrics.rejected();
            debug!(peer = %address, "refused a connection beyond max.connections.per.ip");
            continue;
        }
        metrics.accepted();
        let permit =
            Permit { counts: counts.clone(), listener: bound.listener.clone(), ip, metrics: metrics.clone() };
        // A connection that ended meanwhile fails here.
        let Ok((stream, local_address)) = prepare(stream) else { continue };
        let peer = Peer { address, local_address, listener: bound.listener.clone() };
        let queue = &queues[balance.place(clock.uptime_us())];
        if queue.send(Accepted { stream, peer, permit, moved: None }).await.is_err() {
            return;
        }
    }
}

/// Takes the socket from this worker's runtime for another's.
fn prepare(stream: tokio::net::TcpStream) -> io::Result<(TcpStream, SocketAddr)> {
    stream.set_nodelay(true)?;
    let local_address = stream.local_addr()?;
    Ok((stream.into_std()?, local_address))
}

fn is_out_of_resources(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}
