//! Lists that other nodes write to at the same time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// For how long a list is held to be contended after another node was first.
const LASTING: Duration = Duration::from_secs(1);
/// The most lists that are remembered. A list that is forgotten costs one comparison.
const MOST: usize = 10_000;

/// Lists where another node wrote first a short while ago.
#[derive(Default)]
pub(crate) struct Contended(Mutex<HashMap<i64, Instant>>);

impl Contended {
    /// Another node was first.
    pub(crate) fn note(&self, list: i64) {
        let mut lists = self.0.lock();
        if lists.len() >= MOST {
            lists.retain(|_, since| since.elapsed() < LASTING);
            if lists.len() >= MOST {
                lists.clear();
            }
        }
        lists.insert(list, Instant::now());
    }

    /// Whether another node is likely to be first again.
    pub(crate) fn contains(&self, list: i64) -> bool {
        let mut lists = self.0.lock();
        match lists.get(&list) {
            Some(since) if since.elapsed() < LASTING => true,
            Some(_) => {
                lists.remove(&list);
                false
            }
            None => false,
        }
    }
}
