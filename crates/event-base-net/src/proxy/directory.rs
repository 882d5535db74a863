//! The configured upstreams and the addresses of their names, of which lists of servers are made.

use std::collections::HashSet;
use std::time::Duration;

use event_base::Error;

use super::names::{LookupFailure, LookupTimes, Names};
use super::options::{MAX_UPSTREAMS, MAX_WEIGHT, Upstream, UpstreamTarget};
use super::problems::Problem;
use super::upstreams::{ListSettings, Upstreams};
use crate::address::Address;
use crate::failure::Result;

#[derive(Debug)]
pub(super) struct Directory {
    settings: ListSettings,
    list: Vec<Upstream>,
    pub(super) names: Names,
}

impl Directory {
    /// # Errors
    /// [`Error::OutOfRange`] for a list that [`check`] refuses.
    pub(super) fn new(list: Vec<Upstream>, settings: ListSettings, times: LookupTimes) -> Result<Self> {
        check(&list)?;
        let mut directory = Directory { settings, list: Vec::new(), names: Names::new(times) };
        directory.set(list, Duration::ZERO);
        Ok(directory)
    }

    /// Replaces the list by one that [`check`] accepts. Names that stay keep their addresses; all names are looked up.
    pub(super) fn set(&mut self, list: Vec<Upstream>, now: Duration) {
        self.list = list;
        self.names.set(self.list.iter().filter_map(Upstream::host), now);
    }

    pub(super) fn has_names(&self) -> bool {
        self.list.iter().any(|upstream| upstream.host().is_some())
    }

    /// The upstreams with the servers known so far.
    pub(super) fn upstreams(&self, old: Option<&Upstreams>) -> Upstreams {
        Upstreams::new(&self.list, &self.settings, |host| self.names.addresses(host), old)
    }

    /// Whether connections can be given to `upstreams`. Not as long as it has no server and the first look-up of a
    /// name has not ended: connections wait for that.
    pub(super) fn is_ready(&self, upstreams: &Upstreams) -> bool {
        upstreams.has_servers() || self.names.are_settled()
    }

    /// The problems that a failed look-up is reported as: one for each upstream.
    pub(super) fn problems_of(&self, failure: LookupFailure) -> impl Iterator<Item = Problem> {
        let LookupFailure { host, reason, retry_after } = failure;
        self.names_at(&host).map(move |upstream| Problem::LookupFailed {
            upstream,
            host: host.clone(),
            reason: reason.clone(),
            retry_after,
        })
    }

    /// The names of the upstreams at `host`.
    pub(super) fn names_at(&self, host: &str) -> impl Iterator<Item = String> + use<> {
        let upstreams = self.list.iter().filter(|upstream| upstream.host() == Some(host));
        upstreams.map(|upstream| upstream.name.clone()).collect::<Vec<_>>().into_iter()
    }
}

/// # Errors
/// [`Error::OutOfRange`] for a list that is empty or too long, a weight outside its range, an upstream without an
/// address or a host, or two upstreams with one name.
pub(super) fn check(list: &[Upstream]) -> Result<()> {
    let mut names = HashSet::new();
    let is_target = |target: &UpstreamTarget| match target {
        UpstreamTarget::Address(address) => *address != Address::Unnamed,
        UpstreamTarget::Name { host, .. } => !host.is_empty(),
    };
    let is_valid = list.iter().all(|upstream| {
        (1..=MAX_WEIGHT).contains(&upstream.weight)
            && is_target(&upstream.target)
            && names.insert(upstream.name.as_str())
    });
    if !is_valid || list.is_empty() || list.len() > MAX_UPSTREAMS {
        return Err(Error::OutOfRange("list of upstreams"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::options::{AddressUse, Balance, HealthOptions};

    const SECOND: Duration = Duration::from_secs(1);

    fn directory(list: Vec<Upstream>) -> Result<Directory> {
        let (balance, addresses) = (Balance::RoundRobin, AddressUse::All);
        let settings = ListSettings { balance, addresses, health: HealthOptions::default(), threads: 1 };
        let times = LookupTimes { interval: None, backoff: SECOND, max_backoff: SECOND, limit: SECOND };
        Directory::new(list, settings, times)
    }

    fn upstream(name: &str, weight: u32) -> Upstream {
        Upstream { weight, ..Upstream::new(name, Address::internet("127.0.0.1", 1).unwrap()) }
    }

    #[test]
    fn an_invalid_list_is_refused() {
        let unnamed = Upstream::new("a", Address::Unnamed);
        let nameless = Upstream::named("a", "", 1);
        let twice = vec![upstream("a", 1), upstream("a", 1)];
        let many = (0..=MAX_UPSTREAMS).map(|index| upstream(&index.to_string(), 1)).collect();
        for wrong in [
            vec![],
            vec![upstream("a", 0)],
            vec![upstream("a", MAX_WEIGHT + 1)],
            vec![unnamed],
            vec![nameless],
            twice,
            many,
        ] {
            assert_eq!(directory(wrong).err(), Some(Error::OutOfRange("list of upstreams")));
        }
        let most: Vec<_> = (0..MAX_UPSTREAMS).map(|index| upstream(&index.to_string(), MAX_WEIGHT)).collect();
        assert!(directory(most).is_ok());
    }

    #[test]
    fn connections_wait_only_while_no_server_is_known_and_a_first_look_up_is_in_progress() {
        let mut names = directory(vec![Upstream::named("a", "a", 1), Upstream::named("b", "b", 1)]).unwrap();
        let is_ready = |directory: &Directory| directory.is_ready(&directory.upstreams(None));
        assert!(!is_ready(&names));
        names.names.settle("a", Err("unknown".to_owned()), SECOND);
        assert!(!is_ready(&names));
        names.names.settle("b", Err("unknown".to_owned()), SECOND);
        assert!(is_ready(&names) && !names.upstreams(None).has_servers());

        let mixed = directory(vec![upstream("a", 1), Upstream::named("b", "b", 1)]).unwrap();
        assert!(is_ready(&mixed));
    }
}
