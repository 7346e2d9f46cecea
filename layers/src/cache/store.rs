//! Where entries are kept.

use super::{Entry, Key};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// A future in a box.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Keeps entries. It fails open: an error or a delay is a miss, and never the client's trouble.
///
/// `Option<Store>` is one too: `None` keeps nothing and says that it is off.
pub trait Store: Clone + Send + Sync + 'static {
    /// The entry under this key. Must answer soon: the client is waiting.
    fn get(&self, key: &Key) -> BoxFuture<'_, Option<Entry>>;

    /// Keeps an entry for its time to live, or does not. Nobody waits for it.
    fn put(&self, key: Key, entry: Entry) -> BoxFuture<'static, ()>;

    /// Whether there is no store behind this. Then it is not asked. Default: there is one.
    fn is_off(&self) -> bool {
        false
    }

    /// An entry will not be written, because too many writes are under way. Default: nobody counts.
    fn dropped(&self) {}
}

/// Any store, where a choice at start-up must be one type.
#[derive(Clone)]
pub struct AnyStore(Arc<dyn Erased>);

trait Erased: Send + Sync {
    fn get(&self, key: &Key) -> BoxFuture<'_, Option<Entry>>;
    fn put(&self, key: Key, entry: Entry) -> BoxFuture<'static, ()>;
    fn is_off(&self) -> bool;
    fn dropped(&self);
}

// === impl Store for Option ===

impl<T: Store> Store for Option<T> {
    fn get(&self, key: &Key) -> BoxFuture<'_, Option<Entry>> {
        match self {
            Some(store) => store.get(key),
            None => Box::pin(async { None }),
        }
    }

    fn put(&self, key: Key, entry: Entry) -> BoxFuture<'static, ()> {
        match self {
            Some(store) => store.put(key, entry),
            None => Box::pin(async {}),
        }
    }

    fn is_off(&self) -> bool {
        self.as_ref().is_none_or(Store::is_off)
    }

    fn dropped(&self) {
        if let Some(store) = self {
            store.dropped();
        }
    }
}

// === impl AnyStore ===

impl AnyStore {
    /// Forgets which store it is.
    pub fn new<T: Store>(store: T) -> Self {
        Self(Arc::new(store))
    }
}

impl<T: Store> Erased for T {
    fn get(&self, key: &Key) -> BoxFuture<'_, Option<Entry>> {
        Store::get(self, key)
    }

    fn put(&self, key: Key, entry: Entry) -> BoxFuture<'static, ()> {
        Store::put(self, key, entry)
    }

    fn is_off(&self) -> bool {
        Store::is_off(self)
    }

    fn dropped(&self) {
        Store::dropped(self);
    }
}

impl Store for AnyStore {
    fn get(&self, key: &Key) -> BoxFuture<'_, Option<Entry>> {
        self.0.get(key)
    }

    fn put(&self, key: Key, entry: Entry) -> BoxFuture<'static, ()> {
        self.0.put(key, entry)
    }

    fn is_off(&self) -> bool {
        self.0.is_off()
    }

    fn dropped(&self) {
        self.0.dropped();
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyStore").field("off", &Store::is_off(self)).finish_non_exhaustive()
    }
}
