//! The descriptors of the process by kind, and its memory.

use std::collections::BTreeMap;

/// The number of open descriptors of each kind. On a system that does not name kinds there is one.
pub(crate) fn descriptors() -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for entry in std::fs::read_dir("/dev/fd").expect("every system has it").flatten() {
        let target = std::fs::read_link(entry.path()).unwrap_or_default();
        let name = target.to_string_lossy();
        // "socket:[12]", "pipe:[34]", "anon_inode:[eventpoll]", or a path.
        let kind = match name.split_once(":[") {
            Some(("anon_inode", what)) => what.trim_end_matches(']'),
            Some((kind, _)) => kind,
            None => "file",
        };
        *kinds.entry(kind.to_owned()).or_insert(0) += 1;
    }
    kinds
}

/// The bytes of memory in use; `None` if the system does not report them.
pub(crate) fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
