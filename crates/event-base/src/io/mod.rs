//! Descriptors: which events wait for readiness of each, and what is registered with the backend.

mod map;

pub(crate) use map::FdMap;
