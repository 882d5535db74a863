//! References to memory that is never freed, which a signal handler can follow at any time.
#![expect(unsafe_code, reason = "an atomic pointer becomes a reference again")]

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};

/// An optional reference that is replaced atomically.
#[derive(Debug)]
pub(crate) struct AtomicRef<T: Sync + 'static>(AtomicPtr<T>);

impl<T: Sync + 'static> AtomicRef<T> {
    pub(crate) const fn none() -> Self {
        AtomicRef(AtomicPtr::new(ptr::null_mut()))
    }

    /// Async-signal-safe, as the other operations.
    pub(crate) fn load(&self) -> Option<&'static T> {
        // SAFETY: null, or made from a reference that is valid for ever: every value is stored by a method below.
        unsafe { self.0.load(SeqCst).as_ref() }
    }

    pub(crate) fn store(&self, value: Option<&'static T>) {
        self.0.store(to_pointer(value), SeqCst);
    }

    /// Stores `value` if the reference is to `current`.
    pub(crate) fn replace(&self, current: &'static T, value: Option<&'static T>) {
        _ = self.0.compare_exchange(to_pointer(Some(current)), to_pointer(value), SeqCst, SeqCst);
    }
}

fn to_pointer<T>(value: Option<&'static T>) -> *mut T {
    value.map_or(ptr::null_mut(), |value| ptr::from_ref(value).cast_mut())
}
