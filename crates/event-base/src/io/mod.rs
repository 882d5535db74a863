//! Descriptors: who waits for what on which.

mod map;

pub(crate) use map::FdMap;
