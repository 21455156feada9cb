//! The connections of clients: how many there are, whose they are, and which make room for others.
//!
//! Nobody has to send a request on a connection, so connections are the first thing to run out. If there are too many, those that
//! are idle make room: first those that never sent a request. A few places are left for health checks and the administrator.

pub(crate) mod descriptors;
mod stream;
mod watched;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use portcullis_edge::http::peer;
use portcullis_edge::log_limit::LogLimit;
use portcullis_edge::metrics::requests::{Closed, closed};
use portcullis_edge::settings::Limits;
use tokio::task::AbortHandle;
use tracing::warn;

use descriptors::REMEDY;
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
    trusted: Vec<IpAddr>,
    table: Mutex<Table>,
    /// The number of connections so far. It also is the clock by which the oldest idle connection is found: a real one would cost
    /// each request.
    clock: AtomicU64,
}

#[derive(Default)]
struct Table {
    count: usize,
    by_address: HashMap<IpAddr, HashMap<u64, Arc<Connection>>>,
}

/// One connection.
pub(crate) struct Connection {
    /// The number of reasons why it is not idle; [`CLOSING`] if it is to be closed.
    busy: AtomicU32,
    has_asked: AtomicBool,
    /// When it was last busy, by the clock of [`Connections`].
    since: AtomicU64,
    task: OnceLock<AbortHandle>,
}

const CLOSING: u32 = u32::MAX;

/// A place among the connections, given back on drop.
pub(crate) struct Place {
    connections: Arc<Connections>,
    address: IpAddr,
    id: u64,
    connection: Arc<Connection>,
    /// Whether it is one of the reserve, for health checks and the administrator only.
    pub(crate) is_reserved: bool,
}

/// Keeps a connection from being idle until it is dropped.
pub(crate) struct Busy(Arc<Place>);

/// Lines about connections that were closed for lack of room.
static FULL: LogLimit = LogLimit::new(5);

impl Connections {
    /// Divides the limit of open files, and logs what it allows. `outbound` is the most connections that the gateway opens itself.
    pub(crate) fn new(open_files: u64, outbound: u64, limits: &Limits, trusted: Vec<IpAddr>) -> Arc<Self> {
        let all = descriptors::connections(open_files, outbound, limits.max_connections);
        descriptors::announce(open_files, all, limits.max_connections);
        let per_address = limits.max_connections_per_address.map_or(all / 2, |most| most as usize);
        Arc::new(Self::of(all, per_address, trusted))
    }

    fn of(all: usize, per_address: usize, trusted: Vec<IpAddr>) -> Self {
        let reserve = (all / 16).clamp(4, 64);
        Connections {
            most: all - reserve,
            reserve,
            per_address,
            trusted,
            table: Mutex::default(),
            clock: AtomicU64::new(0),
        }
    }

    /// Finds a place for a connection from this address. If there is none, closes idle connections. Returns `None` if there is no
    /// place then either.
    pub(crate) fn admit(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let from = from.to_canonical();
        let address = peer::network(from);
        let mut table = self.table.lock();
        let own = table.by_address.get(&address).map_or(0, HashMap::len);
        if own >= self.per_address && !self.trusted.contains(&from) {
            let made_room = table.evict(Some(address), self.per_address);
            closed(Closed::Idle, made_room);
            log_full(Closed::Address, made_room);
            if made_room == 0 {
                closed(Closed::Address, 1);
                return None;
            }
        }
        let mut is_reserved = false;
        if table.count >= self.most {
            let made_room = table.evict(None, self.most);
            closed(Closed::Idle, made_room);
            log_full(Closed::Limit, made_room);
            is_reserved = made_room == 0;
            if is_reserved && table.count >= self.most + self.reserve {
                closed(Closed::Limit, 1);
                return None;
            }
        }
        let id = self.clock.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection {
            busy: AtomicU32::new(0),
            has_asked: AtomicBool::new(false),
            since: AtomicU64::new(id),
            task: OnceLock::new(),
        });
        table.by_address.entry(address).or_default().insert(id, Arc::clone(&connection));
        table.count += 1;
        drop(table);
        Some(Place { connections: Arc::clone(self), address, id, connection, is_reserved })
    }

    /// Closes idle connections, because descriptors ran out. Returns how many.
    pub(crate) fn make_room(&self) -> usize {
        let made_room = self.table.lock().evict(None, self.most);
        closed(Closed::Idle, made_room);
        made_room
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

impl Table {
    /// Closes some of the connections that have been idle longest, of one address or of all: of those that never sent a request,
    /// if there are any. `most` is the number of connections that there may be. Returns how many were closed.
    ///
    /// Closes several at once, because it looks at all connections.
    fn evict(&mut self, of: Option<IpAddr>, most: usize) -> usize {
        let mut idle: Vec<(bool, u64, IpAddr, u64)> = Vec::new();
        let mut look = |address: IpAddr, connections: &HashMap<u64, Arc<Connection>>| {
            idle.extend(connections.iter().filter(|(_, connection)| connection.is_idle()).map(
                |(id, connection)| {
                    let has_asked = connection.has_asked.load(Ordering::Relaxed);
                    (has_asked, connection.since.load(Ordering::Relaxed), address, *id)
                },
            ));
        };
        match of {
            Some(address) => {
                if let Some(connections) = self.by_address.get(&address) {
                    look(address, connections);
                }
            }
            None => self.by_address.iter().for_each(|(address, connections)| look(*address, connections)),
        }
        idle.sort_unstable();
        let first_kind = idle.first().map(|first| first.0);
        let (mut left, mut evicted) = ((most / 16).max(1), 0);
        for (has_asked, _, address, id) in idle {
            if left == 0 || Some(has_asked) != first_kind {
                break;
            }
            let connection = self.by_address.get(&address).and_then(|connections| connections.get(&id));
            if connection.is_some_and(|connection| connection.close()) {
                self.remove(address, id);
                evicted += 1;
                left -= 1;
            }
        }
        evicted
    }

    fn remove(&mut self, address: IpAddr, id: u64) {
        let Some(connections) = self.by_address.get_mut(&address) else { return };
        if connections.remove(&id).is_some() {
            self.count -= 1;
        }
        if connections.is_empty() {
            self.by_address.remove(&address);
        }
    }
}

impl Connection {
    fn is_idle(&self) -> bool {
        self.busy.load(Ordering::Acquire) == 0 && self.task.get().is_some()
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
    }

    /// Begins a request. Returns `None` if the connection is being closed.
    pub(crate) fn begin(self: Arc<Self>) -> Option<Busy> {
        self.connection.has_asked.store(true, Ordering::Relaxed);
        self.occupy()
    }

    /// Keeps the connection from being closed as idle. Returns `None` if it is being closed.
    fn occupy(self: Arc<Self>) -> Option<Busy> {
        let more = |busy| (busy != CLOSING).then(|| busy + 1);
        self.connection.busy.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Busy(self))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Place { connections, connection, .. } = &*self.0;
        connection.since.store(connections.clock.load(Ordering::Relaxed), Ordering::Relaxed);
        connection.busy.fetch_sub(1, Ordering::AcqRel);
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
        let place = Arc::new(connections.admit(from)?);
        place.served_by(tokio::spawn(std::future::pending::<()>()).abort_handle());
        Some(place)
    }

    fn is_closed(place: &Arc<Place>) -> bool {
        place.connection.busy.load(Ordering::Acquire) == CLOSING
    }

    #[tokio::test]
    async fn who_never_asked_makes_room_first() {
        let connections = Arc::new(Connections::of(20, 20, Vec::new()));
        let places: Vec<Arc<Place>> = (0..16).map(|_| connect(&connections, address(1)).unwrap()).collect();
        drop(Arc::clone(&places[0]).begin());
        let _busy = Arc::clone(&places[1]).begin();
        let new = connect(&connections, address(2)).unwrap();
        assert!(!new.is_reserved);
        assert_eq!(places.iter().position(is_closed), Some(2), "the oldest of those that never asked");
        assert!(Arc::clone(&places[2]).begin().is_none());
    }

    #[tokio::test]
    async fn if_nobody_is_idle_the_reserve_is_left() {
        let connections = Arc::new(Connections::of(20, 20, Vec::new()));
        let places: Vec<Arc<Place>> = (0..16).map(|_| connect(&connections, address(1)).unwrap()).collect();
        let busy: Vec<Busy> = places.into_iter().map(|place| place.begin().unwrap()).collect();
        let reserved: Vec<(Arc<Place>, Busy)> = (0..4)
            .map(|_| {
                let place = connect(&connections, address(2)).unwrap();
                let busy = Arc::clone(&place).begin().unwrap();
                (place, busy)
            })
            .collect();
        assert!(reserved.iter().all(|(place, _)| place.is_reserved));
        assert!(connect(&connections, address(2)).is_none());
        drop(busy);
        assert!(connect(&connections, address(2)).is_some_and(|place| !place.is_reserved));
    }

    #[tokio::test]
    async fn an_address_over_its_limit_closes_its_own_connections() {
        let proxy = address(9);
        let connections = Arc::new(Connections::of(100, 4, vec![proxy]));
        let others = connect(&connections, address(2)).unwrap();
        let places: Vec<Arc<Place>> = (0..5).map(|_| connect(&connections, address(1)).unwrap()).collect();
        assert_eq!(places.iter().filter(|place| is_closed(place)).count(), 1);
        assert!(is_closed(&places[0]) && !is_closed(&others));
        let _busy: Vec<Busy> = places[1..].iter().map(|place| Arc::clone(place).begin().unwrap()).collect();
        assert!(connect(&connections, address(1)).is_none());
        let of_proxy: Vec<Arc<Place>> = (0..9).map(|_| connect(&connections, proxy).unwrap()).collect();
        assert!(!of_proxy.iter().any(is_closed));
    }
}
