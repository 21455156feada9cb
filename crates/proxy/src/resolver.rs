//! Looking up the addresses of hosts, on threads of its own.
//!
//! The system's resolver blocks for as long as a name server does not answer, which may be half a minute. On Tokio's blocking threads,
//! as hyper's own resolver does it, an outage of DNS would take the threads on which the ledger is written.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;
use std::vec;

use hyper_util::client::legacy::connect::dns::Name;
use parking_lot::Mutex;
use tokio::sync::watch;
use tower_service::Service;

/// The most lookups at once, each on its own thread. There is one for a name, so this is the number of hosts whose name servers may
/// be silent before others can't be looked up.
const MOST_LOOKUPS: usize = 128;
/// How long a request waits for a lookup. The system asks the next name server after 5 seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// A resolver for hyper's connector. All clones share their lookups.
#[derive(Clone)]
pub(crate) struct Resolver {
    lookups: Arc<Lookups>,
}

/// Finds the addresses of a host. Blocks.
type LookUp = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

struct Lookups {
    under_way: Mutex<HashMap<Name, watch::Receiver<Outcome>>>,
    /// How long a request waits.
    patience: Duration,
    /// Asks the system. Blocks.
    look_up: Box<LookUp>,
}

/// `None` until the lookup has ended.
type Outcome = Option<Result<Vec<SocketAddr>, io::ErrorKind>>;

/// A lookup that is under way, until it is dropped.
struct UnderWay {
    lookups: Arc<Lookups>,
    name: Name,
}

impl Resolver {
    /// The system's resolver.
    pub(crate) fn new() -> Self {
        // The connector sets the port.
        Self::with(PATIENCE, |host| Ok((host, 0).to_socket_addrs()?.collect()))
    }

    fn with(
        patience: Duration,
        look_up: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        let (under_way, look_up) = (Mutex::default(), Box::new(look_up));
        Resolver { lookups: Arc::new(Lookups { under_way, patience, look_up }) }
    }

    /// Looks up a name, or waits for the lookup of it that is under way. That goes on when nobody waits any more.
    ///
    /// # Errors
    /// That of the system; [`TimedOut`](io::ErrorKind::TimedOut) after 10 seconds;
    /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) if 128 other names are being looked up.
    async fn resolve(self, name: Name) -> io::Result<vec::IntoIter<SocketAddr>> {
        let mut outcome = self.lookups.outcome(name)?;
        let found = tokio::time::timeout(self.lookups.patience, outcome.wait_for(Option::is_some)).await;
        let found = found.map_err(|_| io::ErrorKind::TimedOut)?.map_err(io::Error::other)?;
        match &*found {
            Some(Ok(addresses)) => Ok(addresses.clone().into_iter()),
            Some(Err(kind)) => Err((*kind).into()),
            None => Err(io::ErrorKind::Other.into()),
        }
    }
}

impl Lookups {
    fn outcome(self: &Arc<Self>, name: Name) -> io::Result<watch::Receiver<Outcome>> {
        let mut under_way = self.under_way.lock();
        if let Some(outcome) = under_way.get(&name) {
            return Ok(outcome.clone());
        }
        if under_way.len() >= MOST_LOOKUPS {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let (ended, outcome) = watch::channel(None);
        under_way.insert(name.clone(), outcome.clone());
        drop(under_way);
        // Dropped with the closure if the thread can't be started.
        let lookup = UnderWay { lookups: Arc::clone(self), name };
        thread::Builder::new().name("portcullis-dns".to_owned()).spawn(move || {
            let found = (lookup.lookups.look_up)(lookup.name.as_str());
            // Later requests begin a lookup of their own.
            drop(lookup);
            ended.send_replace(Some(found.map_err(|error| error.kind())));
        })?;
        Ok(outcome)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.lookups.under_way.lock().remove(&self.name);
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(self.clone().resolve(name))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::task::Waker;

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn address() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 0))
    }

    /// A resolver that answers about `silent…` only once the sender is dropped. Counts the lookups.
    fn resolver(patience: Duration) -> (Resolver, mpsc::Sender<()>, Arc<AtomicUsize>) {
        let (end, ended) = mpsc::channel::<()>();
        let (ended, count) = (Mutex::new(ended), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&count);
        let resolver = Resolver::with(patience, move |host| {
            counted.fetch_add(1, Ordering::SeqCst);
            if host.starts_with("silent") {
                let _ = ended.lock().recv();
            }
            if host == "unknown" { Err(io::ErrorKind::NotFound.into()) } else { Ok(vec![address()]) }
        });
        (resolver, end, count)
    }

    #[tokio::test]
    async fn many_requests_for_a_name_wait_for_one_lookup_and_other_names_for_none_of_them() {
        let (resolver, end, count) = resolver(PATIENCE);
        let mut waiting = Vec::new();
        for _ in 0..1000 {
            let mut one = Box::pin(resolver.clone().resolve(name("silent")));
            assert!(one.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            waiting.push(one);
        }
        assert_eq!(resolver.clone().resolve(name("other")).await.unwrap().collect::<Vec<_>>(), [address()]);
        let unknown = resolver.clone().resolve(name("unknown")).await.unwrap_err();
        assert_eq!(unknown.kind(), io::ErrorKind::NotFound);
        drop(end);
        for one in waiting {
            assert_eq!(one.await.unwrap().collect::<Vec<_>>(), [address()]);
        }
        assert_eq!(count.load(Ordering::SeqCst), 3);
        assert!(resolver.lookups.under_way.lock().is_empty());
    }

    #[tokio::test]
    async fn lookups_are_bounded() {
        let (resolver, end, _) = resolver(PATIENCE);
        let mut waiting = Vec::new();
        for n in 0..MOST_LOOKUPS {
            let mut one = Box::pin(resolver.clone().resolve(name(&format!("silent-{n}"))));
            assert!(one.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            waiting.push(one);
        }
        let refused = resolver.clone().resolve(name("other")).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
        drop(end);
        for one in waiting {
            one.await.unwrap();
        }
        resolver.resolve(name("other")).await.unwrap();
    }

    #[tokio::test]
    async fn a_request_does_not_wait_for_good() {
        let (resolver, _end, _) = resolver(Duration::from_millis(1));
        let late = resolver.resolve(name("silent")).await.unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    }
}
