//! The connections of clients: how many there are, whose they are, and which make room for others.
//!
//! Nobody has to send a request on a connection, so connections are the first thing to run out. If there are too many, those that
//! are idle make room: first those that never sent a request. A few places are left for health checks and the administrator.
//!
//! Connections of either kind make room for their own kind only. Otherwise ordinary connections would take the places that are left.
//!
//! A connection of HTTP/2 has many requests in progress at once. There may be as many of these in all as connections, and of one address
//! as connections of it: so what is allowed for each connection holds for each of them.

mod client_stream;
pub(crate) mod descriptors;
mod given_up;
mod stream;
mod watched;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use portcullis_admission::LogLimit;
use portcullis_edge::http::peer::{self, Peer, TrustedProxies};
use portcullis_edge::settings::Limits;
use portcullis_process_metrics::http::{Closed, closed};
use tokio::task::AbortHandle;
use tracing::warn;

pub(crate) use client_stream::ClientStream;
use descriptors::REMEDY;
use given_up::GivenUp;
pub(crate) use given_up::WAIT;
pub(crate) use stream::TimedStream;
pub(crate) use watched::Watched;

/// All connections of clients.
pub(crate) struct Connections {
    /// The most connections, without the reserve.
    most: usize,
    /// Connections beyond `most`, for health checks and the administrator.
    reserve: usize,
    per_address: usize,
    /// Proxies, whose connections are those of many clients.
    trusted: TrustedProxies,
    table: Mutex<Table>,
    given_up: GivenUp,
    /// The number of connections so far. It also is the clock by which the oldest idle connection is found: a real one would cost
    /// each request.
    clock: AtomicU64,
    /// The requests of HTTP/2 in progress.
    streams: AtomicUsize,
}

#[derive(Default)]
struct Table {
    ordinary: Kind,
    reserved: Kind,
    by_address: HashMap<IpAddr, OfAddress>,
}

/// The ordinary connections, or those of the reserve.
#[derive(Default)]
struct Kind {
    count: usize,
    exhausted: Arc<Exhausted>,
}

/// The connections of one address.
#[derive(Default)]
struct OfAddress {
    connections: HashMap<u64, Arc<Connection>>,
    exhausted: Arc<Exhausted>,
    /// The requests of HTTP/2 in progress.
    streams: Arc<AtomicUsize>,
}

/// Whether a search found no idle connection, and none has become idle since.
///
/// Searching looks at all connections, while nobody else can be accepted. Without this, each attempt to connect would cost that when
/// all are busy.
#[derive(Default)]
struct Exhausted(AtomicBool);

impl Exhausted {
    fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn set(&self, exhausted: bool) {
        self.0.store(exhausted, Ordering::SeqCst);
    }

    /// A connection has become idle. Writes only if that is news, because it is called after each request.
    fn clear(&self) {
        if self.is_set() {
            self.set(false);
        }
    }
}

/// One connection.
pub(crate) struct Connection {
    /// The number of reasons why it is not idle; [`CLOSING`] if it is to be closed.
    busy: AtomicU32,
    has_asked: AtomicBool,
    /// Whether a request is in progress, and how many have been.
    is_asking: AtomicBool,
    requests: AtomicU32,
    /// Whether its socket had nothing to read at some time since the last request began.
    has_waited: AtomicBool,
    /// When it was last busy, by the clock of [`Connections`].
    since: AtomicU64,
    task: OnceLock<AbortHandle>,
    /// Whether it is one of the reserve.
    is_reserved: bool,
    /// Of its kind, and of its address.
    exhausted: [Arc<Exhausted>; 2],
    /// The requests of HTTP/2 that its address has in progress.
    streams: Arc<AtomicUsize>,
}

const CLOSING: u32 = u32::MAX;

/// A place among the connections, given back on drop.
pub(crate) struct Place {
    connections: Arc<Connections>,
    address: IpAddr,
    id: u64,
    connection: Arc<Connection>,
    /// Whether it is that of many clients: a proxy's, or one of a Unix socket.
    is_of_many: bool,
    is_slowed: bool,
}

/// A request in progress. If it is dropped, the client has given it up.
pub(crate) struct Unanswered(Option<Arc<Place>>);

/// A request of HTTP/2 in progress, which counts until it is dropped.
pub(crate) struct Stream(Arc<Place>);

/// Keeps a connection from being idle until it is dropped.
pub(crate) struct Busy {
    place: Arc<Place>,
    /// Whether it is a request in progress, rather than a response that is being sent.
    is_request: bool,
}

/// What connections of Unix sockets are counted under: no client has it.
const UNIX: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Lines about connections that were closed for lack of room.
static FULL: LogLimit = LogLimit::new(5);

impl Connections {
    /// Divides the limit of open files, and logs what it allows. `outbound` is the most connections that the gateway opens itself.
    pub(crate) fn new(open_files: u64, outbound: u64, limits: &Limits, trusted: TrustedProxies) -> Arc<Self> {
        let all = descriptors::connections(open_files, outbound, limits.max_connections);
        descriptors::announce(open_files, all, limits.max_connections);
        let per_address = limits.max_connections_per_address.map_or(all / 2, |most| most as usize);
        Arc::new(Self::of(all, per_address, trusted))
    }

    fn of(all: usize, per_address: usize, trusted: TrustedProxies) -> Self {
        let reserve = (all / 16).clamp(4, 64);
        Connections {
            most: all - reserve,
            reserve,
            per_address,
            trusted,
            table: Mutex::default(),
            given_up: GivenUp::new(),
            clock: AtomicU64::new(0),
            streams: AtomicUsize::new(0),
        }
    }

    /// Finds a place for a connection from this peer. If there is none, closes idle connections. Returns `None` if there is no
    /// place then either.
    ///
    /// Who may open a Unix socket is said by its file, so such peers share the connections without a limit of their own.
    pub(crate) fn admit(self: &Arc<Self>, from: Peer) -> Option<Place> {
        let is_of_many = from == Peer::Unix || self.trusted.contains(from);
        let address = match from {
            Peer::Ip(address) => peer::network(address),
            Peer::Unix => UNIX,
        };
        let mut table = self.table.lock();
        let own = table.by_address.get(&address).map_or(0, |of_address| of_address.connections.len());
        if own >= self.per_address && !is_of_many {
            let made_room = table.evict(Which::Address(address), self.per_address);
            log_full(Closed::Address, made_room);
            if made_room == 0 {
                closed(Closed::Address, 1);
                return None;
            }
        }
        let mut is_reserved = false;
        if table.ordinary.count >= self.most {
            let made_room = table.evict(Which::Ordinary, self.most);
            log_full(Closed::Limit, made_room);
            is_reserved = made_room == 0;
            if is_reserved
                && table.reserved.count >= self.reserve
                && table.evict(Which::Reserved, self.reserve) == 0
            {
                closed(Closed::Limit, 1);
                return None;
            }
        }
        let id = self.clock.fetch_add(1, Ordering::Relaxed);
        let connection = table.insert(address, id, is_reserved);
        drop(table);
        let is_slowed = !is_of_many && self.given_up.is_slowed(address);
        Some(Place { connections: Arc::clone(self), address, id, connection, is_of_many, is_slowed })
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.lock().by_address.is_empty()
    }

    /// Closes idle connections, because descriptors ran out. Returns how many.
    pub(crate) fn make_room(&self) -> usize {
        let mut table = self.table.lock();
        match table.evict(Which::Ordinary, self.most) {
            0 => table.evict(Which::Reserved, self.reserve),
            made_room => made_room,
        }
    }
}

/// Logs, at a bounded rate, that there are as many connections as a limit allows, and how many idle ones were closed therefore.
fn log_full(limit: Closed, idle_closed: usize) {
    if !FULL.admits() {
        return;
    }
    let suppressed = FULL.suppressed();
    match limit {
        Closed::Address => warn!(
            idle_closed,
            suppressed,
            "an address has as many connections as it may have: if it is a proxy, name it in server.trusted_proxies, or raise \
             limits.max_connections_per_address"
        ),
        _ => warn!(idle_closed, suppressed, "there are as many connections as there may be: {REMEDY}"),
    }
}

/// Which connections make room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    /// Those of one address, of either kind.
    Address(IpAddr),
    Ordinary,
    Reserved,
}

impl Table {
    fn insert(&mut self, address: IpAddr, id: u64, is_reserved: bool) -> Arc<Connection> {
        let kind = if is_reserved { &mut self.reserved } else { &mut self.ordinary };
        let of_address = self.by_address.entry(address).or_default();
        let connection = Arc::new(Connection {
            busy: AtomicU32::new(0),
            has_asked: AtomicBool::new(false),
            is_asking: AtomicBool::new(false),
            requests: AtomicU32::new(0),
            has_waited: AtomicBool::new(true),
            since: AtomicU64::new(id),
            task: OnceLock::new(),
            is_reserved,
            exhausted: [Arc::clone(&kind.exhausted), Arc::clone(&of_address.exhausted)],
            streams: Arc::clone(&of_address.streams),
        });
        kind.count += 1;
        of_address.connections.insert(id, Arc::clone(&connection));
        connection
    }

    /// Closes some of the connections that have been idle longest: of those that never sent a request, if there are any. `most` is
    /// the number of such connections that there may be. Counts and returns how many were closed.
    ///
    /// Closes several at once, because it looks at all connections. If all were busy the last time, and still are, it looks at none.
    fn evict(&mut self, which: Which, most: usize) -> usize {
        let exhausted = match which {
            Which::Address(address) => self.by_address.get(&address).map(|of_address| &of_address.exhausted),
            Which::Ordinary => Some(&self.ordinary.exhausted),
            Which::Reserved => Some(&self.reserved.exhausted),
        };
        let Some(exhausted) = exhausted.filter(|exhausted| !exhausted.is_set()).cloned() else { return 0 };
        // Before the search, so that a connection that becomes idle meanwhile is not forgotten.
        exhausted.set(true);
        fence(Ordering::SeqCst);
        let mut idle: Vec<(bool, u64, IpAddr, u64)> = Vec::new();
        let is_meant = |connection: &Connection| match which {
            Which::Address(_) => true,
            Which::Ordinary => !connection.is_reserved,
            Which::Reserved => connection.is_reserved,
        };
        let mut look = |address: IpAddr, of_address: &OfAddress| {
            let connections = of_address.connections.iter();
            let found = connections.filter(|(_, connection)| is_meant(connection) && connection.is_idle());
            idle.extend(found.map(|(id, connection)| {
                let has_asked = connection.has_asked.load(Ordering::Relaxed);
                (has_asked, connection.since.load(Ordering::Relaxed), address, *id)
            }));
        };
        match which {
            Which::Address(address) => {
                if let Some(of_address) = self.by_address.get(&address) {
                    look(address, of_address);
                }
            }
            _ => self.by_address.iter().for_each(|(address, of_address)| look(*address, of_address)),
        }
        if !idle.is_empty() {
            exhausted.set(false);
        }
        idle.sort_unstable();
        let first_kind = idle.first().map(|first| first.0);
        let (mut left, mut evicted) = ((most / 16).max(1), 0);
        for (has_asked, _, address, id) in idle {
            if left == 0 || Some(has_asked) != first_kind {
                break;
            }
            let of_address = self.by_address.get(&address);
            let connection = of_address.and_then(|of_address| of_address.connections.get(&id));
            if connection.is_some_and(|connection| connection.close()) {
                self.remove(address, id);
                evicted += 1;
                left -= 1;
            }
        }
        closed(Closed::Idle, evicted);
        evicted
    }

    fn remove(&mut self, address: IpAddr, id: u64) {
        let Some(of_address) = self.by_address.get_mut(&address) else { return };
        if let Some(connection) = of_address.connections.remove(&id) {
            let kind = if connection.is_reserved { &mut self.reserved } else { &mut self.ordinary };
            kind.count -= 1;
        }
        if of_address.connections.is_empty() {
            self.by_address.remove(&address);
        }
    }
}

impl Connection {
    fn is_idle(&self) -> bool {
        self.busy.load(Ordering::SeqCst) == 0 && self.task.get().is_some()
    }

    /// It has become idle, and may make room.
    fn rest(&self) {
        self.exhausted.iter().for_each(|exhausted| exhausted.clear());
    }

    /// Closes the connection if it is idle.
    fn close(&self) -> bool {
        let is_closed = self.busy.compare_exchange(0, CLOSING, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if is_closed && let Some(task) = self.task.get() {
            task.abort();
        }
        is_closed
    }
}

impl Place {
    /// Sets the task that serves the connection. It may be aborted whenever the connection is idle.
    pub(crate) fn served_by(&self, task: AbortHandle) {
        let _ = self.connection.task.set(task);
        fence(Ordering::SeqCst);
        self.connection.rest();
    }

    /// Whether it is one of the reserve, for health checks and the administrator only.
    pub(crate) fn is_reserved(&self) -> bool {
        self.connection.is_reserved
    }

    /// Whether it is served only after a [`WAIT`], as its address gives up many requests.
    pub(crate) fn is_slowed(&self) -> bool {
        self.is_slowed
    }

    /// Whether its address gives up many requests now, so that each further one has to wait.
    pub(crate) fn must_wait(&self) -> bool {
        !self.is_of_many && self.connections.given_up.is_slowed(self.address)
    }

    /// The number of requests in progress, and of responses on their way.
    pub(crate) fn occupants(&self) -> u32 {
        self.connection.busy.load(Ordering::Relaxed)
    }

    /// Counts a request of HTTP/2. Returns `None` if there are as many as there may be, in all or of this address. Those of the reserve
    /// always get in, as they are few.
    pub(crate) fn stream(self: &Arc<Self>) -> Option<Stream> {
        let (connections, of_address) = (&self.connections, &self.connection.streams);
        let in_all = connections.streams.fetch_add(1, Ordering::Relaxed);
        let own = of_address.fetch_add(1, Ordering::Relaxed);
        let stream = Stream(Arc::clone(self));
        let is_over = if own >= connections.per_address && !self.is_of_many {
            Some(Closed::Address)
        } else {
            (in_all >= connections.most).then_some(Closed::Limit)
        };
        match is_over.filter(|_| !self.is_reserved()) {
            None => Some(stream),
            Some(limit) => {
                log_full(limit, 0);
                None
            }
        }
    }

    /// A request has begun that is to be answered.
    pub(crate) fn unanswered(self: &Arc<Self>) -> Unanswered {
        Unanswered((!self.is_of_many).then(|| Arc::clone(self)))
    }

    /// Whether a request is in progress. To be called by the connection's own task, like [`begin`](Self::begin).
    fn is_asking(&self) -> bool {
        self.connection.is_asking.load(Ordering::Relaxed)
    }

    /// The number of requests that have begun.
    pub(crate) fn requests(&self) -> u32 {
        self.connection.requests.load(Ordering::Relaxed)
    }

    /// The socket has nothing to read now. To be called by the connection's own task, like [`begin`](Self::begin).
    fn waited(&self) {
        self.connection.has_waited.store(true, Ordering::Relaxed);
    }

    /// Whether the request that begins now must give way first: since the last one began, the connection has not waited for its
    /// socket, so the client sends requests without reading the responses.
    ///
    /// Hyper serves requests that are buffered in a loop, and then wakes its own task, which stays in its thread's queue. Tokio asks
    /// the system which other sockets are ready only once that queue is empty, or after many polls. So one such connection a
    /// thread would keep all others waiting. [`yield_now`](tokio::task::yield_now) does what is needed: the task goes on once the
    /// sockets have been looked at, after those that have become ready. A socket that had nothing to read is not read again before that
    /// either, so a client that waits for each response never gives way, and only pays for this flag.
    pub(crate) fn must_give_way(&self) -> bool {
        !self.connection.has_waited.swap(false, Ordering::Relaxed)
    }

    /// Begins a request, whose head is complete. Returns `None` if the connection is being closed.
    pub(crate) fn begin(self: Arc<Self>) -> Option<Busy> {
        self.connection.has_asked.store(true, Ordering::Relaxed);
        let mut busy = self.occupy()?;
        busy.is_request = true;
        busy.place.connection.is_asking.store(true, Ordering::Relaxed);
        busy.place.connection.requests.fetch_add(1, Ordering::Relaxed);
        Some(busy)
    }

    /// Keeps the connection from being closed as idle. Returns `None` if it is being closed.
    fn occupy(self: Arc<Self>) -> Option<Busy> {
        let more = |busy| (busy != CLOSING).then(|| busy + 1);
        self.connection.busy.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Busy { place: self, is_request: false })
    }
}

impl Unanswered {
    /// There is an answer.
    pub(crate) fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            place.connections.given_up.count(place.address);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.connections.streams.fetch_sub(1, Ordering::Relaxed);
        self.0.connection.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Place { connections, connection, .. } = &*self.place;
        if self.is_request {
            connection.is_asking.store(false, Ordering::Relaxed);
        }
        connection.since.store(connections.clock.load(Ordering::Relaxed), Ordering::Relaxed);
        if connection.busy.fetch_sub(1, Ordering::SeqCst) == 1 {
            connection.rest();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.table.lock().remove(self.address, self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// A connection that is served by a task that does nothing.
    fn connect(connections: &Arc<Connections>, from: IpAddr) -> Option<Arc<Place>> {
        let place = Arc::new(connections.admit(Peer::Ip(from))?);
        place.served_by(tokio::spawn(std::future::pending::<()>()).abort_handle());
        Some(place)
    }

    fn is_closed(place: &Arc<Place>) -> bool {
        place.connection.busy.load(Ordering::Acquire) == CLOSING
    }

    #[tokio::test]
    async fn who_never_asked_makes_room_first() {
        let connections = Arc::new(Connections::of(20, 20, TrustedProxies::default()));
        let places: Vec<Arc<Place>> = (0..16).map(|_| connect(&connections, address(1)).unwrap()).collect();
        drop(Arc::clone(&places[0]).begin());
        let _busy = Arc::clone(&places[1]).begin();
        let new = connect(&connections, address(2)).unwrap();
        assert!(!new.is_reserved());
        assert_eq!(places.iter().position(is_closed), Some(2), "the oldest of those that never asked");
        assert!(Arc::clone(&places[2]).begin().is_none());
    }

    #[tokio::test]
    async fn if_nobody_is_idle_the_reserve_is_left() {
        let connections = Arc::new(Connections::of(20, 20, TrustedProxies::default()));
        let places: Vec<Arc<Place>> = (0..16).map(|_| connect(&connections, address(1)).unwrap()).collect();
        let busy: Vec<Busy> = places.into_iter().map(|place| place.begin().unwrap()).collect();
        let reserved: Vec<(Arc<Place>, Busy)> = (0..4)
            .map(|_| {
                let place = connect(&connections, address(2)).unwrap();
                let busy = Arc::clone(&place).begin().unwrap();
                (place, busy)
            })
            .collect();
        assert!(reserved.iter().all(|(place, _)| place.is_reserved()));
        assert!(connect(&connections, address(2)).is_none());
        drop(busy);
        assert!(connect(&connections, address(2)).is_some_and(|place| !place.is_reserved()));
    }

    #[tokio::test]
    async fn ordinary_connections_never_take_the_reserve() {
        let connections = Arc::new(Connections::of(20, 20, TrustedProxies::default()));
        let places: Vec<Arc<Place>> = (0..16).map(|_| connect(&connections, address(1)).unwrap()).collect();
        let _busy: Vec<Busy> = places.into_iter().map(|place| place.begin().unwrap()).collect();
        let first = connect(&connections, address(2)).unwrap();
        let mut more: Vec<Arc<Place>> = (0..3).map(|_| connect(&connections, address(2)).unwrap()).collect();
        assert!(first.is_reserved() && more.iter().all(|place| place.is_reserved()));
        assert!(!is_closed(&first), "the reserve has room");
        // The fifth takes the place of one of them, and is still of the reserve.
        more.push(connect(&connections, address(2)).unwrap());
        assert!(is_closed(&first) && more.iter().all(|place| place.is_reserved() && !is_closed(place)));
    }

    #[tokio::test]
    async fn connections_are_searched_again_only_once_one_has_become_idle() {
        let connections = Arc::new(Connections::of(20, 20, TrustedProxies::default()));
        let places: Vec<Arc<Place>> = (0..16).map(|_| connect(&connections, address(1)).unwrap()).collect();
        let mut busy: Vec<Busy> = places.iter().map(|place| Arc::clone(place).begin().unwrap()).collect();
        let is_exhausted = || connections.table.lock().ordinary.exhausted.is_set();
        assert!(!is_exhausted());
        let _reserved = connect(&connections, address(2)).unwrap();
        assert!(is_exhausted());
        busy.pop();
        assert!(!is_exhausted());
        assert!(connect(&connections, address(2)).is_some_and(|place| !place.is_reserved()));
    }

    #[tokio::test]
    async fn only_requests_that_did_not_wait_for_the_socket_give_way() {
        let connections = Arc::new(Connections::of(20, 20, TrustedProxies::default()));
        let place = connect(&connections, address(1)).unwrap();
        assert!(!place.must_give_way(), "the first");
        assert!(place.must_give_way() && place.must_give_way());
        place.waited();
        assert!(!place.must_give_way());
        assert!(place.must_give_way());
    }

    #[tokio::test]
    async fn an_address_that_gives_up_many_requests_waits_at_its_next_connections() {
        let (patient, proxy) = (address(2), address(9));
        let connections =
            Arc::new(Connections::of(100, 50, TrustedProxies { addresses: vec![proxy], unix: false }));
        let [bad, good, of_proxy] =
            [address(1), patient, proxy].map(|from| connect(&connections, from).unwrap());
        for _ in 0..300 {
            drop(bad.unanswered());
            good.unanswered().answered();
            drop(of_proxy.unanswered());
        }
        let is_slowed = |from| connect(&connections, from).unwrap().is_slowed();
        assert!(is_slowed(address(1)) && !is_slowed(patient) && !is_slowed(proxy));
        assert!(!bad.is_slowed(), "it was served already");
    }

    #[tokio::test]
    async fn an_address_over_its_limit_closes_its_own_connections() {
        let proxy = address(9);
        let connections =
            Arc::new(Connections::of(100, 4, TrustedProxies { addresses: vec![proxy], unix: false }));
        let others = connect(&connections, address(2)).unwrap();
        let places: Vec<Arc<Place>> = (0..5).map(|_| connect(&connections, address(1)).unwrap()).collect();
        assert_eq!(places.iter().filter(|place| is_closed(place)).count(), 1);
        assert!(is_closed(&places[0]) && !is_closed(&others));
        let _busy: Vec<Busy> = places[1..].iter().map(|place| Arc::clone(place).begin().unwrap()).collect();
        assert!(connect(&connections, address(1)).is_none());
        let of_proxy: Vec<Arc<Place>> = (0..9).map(|_| connect(&connections, proxy).unwrap()).collect();
        assert!(!of_proxy.iter().any(is_closed));
    }

    #[tokio::test]
    async fn an_address_has_as_many_requests_over_http2_as_connections() {
        let connections = Arc::new(Connections::of(100, 4, TrustedProxies::default()));
        let place = connect(&connections, address(1)).unwrap();
        let mut streams: Vec<Stream> = (0..4).map(|_| place.stream().unwrap()).collect();
        assert!(place.stream().is_none() && connect(&connections, address(1)).unwrap().stream().is_none());
        let others = connect(&connections, address(2)).unwrap();
        assert!(others.stream().is_some());
        streams.pop();
        assert!(place.stream().is_some());
        drop(streams);
        assert_eq!(connections.streams.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn clients_of_unix_sockets_share_all_connections() {
        let connections = Arc::new(Connections::of(100, 4, TrustedProxies::default()));
        let places: Vec<Place> = (0..9).map(|_| connections.admit(Peer::Unix).unwrap()).collect();
        assert!(places.iter().all(|place| place.is_of_many && !place.is_slowed()));
        assert!(connect(&connections, peer::LOCAL).is_some());
    }
}
