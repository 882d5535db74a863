//! The bases that are shared between threads of JavaScript, by name.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

use event_base::Base;
use parking_lot::Mutex;

#[derive(Default)]
struct Registry {
    bases: HashMap<String, Base>,
    /// How many names were made.
    names: u64,
    /// Makes names that differ from those of any other process.
    random: RandomState,
}

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);

/// An entry of the registry, which is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct SharedName(String);

impl SharedName {
    /// Enters `base` under a new name.
    pub(crate) fn new(base: Base) -> Self {
        let mut registry = REGISTRY.lock();
        registry.names += 1;
        let mut hasher = registry.random.build_hasher();
        hasher.write_u64(registry.names);
        let name = format!("{}-{:016x}", registry.names, hasher.finish());
        registry.bases.insert(name.clone(), base);
        SharedName(name)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Drop for SharedName {
    fn drop(&mut self) {
        let base = REGISTRY.lock().bases.remove(&self.0);
        // This may be the last handle of the base, and dropping a base must not happen under the lock.
        drop(base);
    }
}

/// The open base that has this name.
pub(crate) fn find(name: &str) -> Option<Base> {
    let base = REGISTRY.lock().bases.get(name).cloned();
    base.filter(|base| !base.is_closed())
}
