//! The engine's side, over the real backend and the system's clock.

use std::cell::Cell;
use std::ffi::c_int;
use std::os::fd::RawFd;
use std::time::Duration;

use event_base::{
    Base, BaseFlags, CommonTimeout, Config, CountFlags, Error, EventId, EventInfo, EventSpec, LoopFlags,
    Ready, Step, Wait, What,
};

use crate::interpose::{Micros, WALL_OFFSET};
use crate::player::Player;
use crate::program::{COMMON, EVENTS, Kind, Method, Settings};
use crate::side::{Side, State, States, Timeout};

/// The engine.
#[derive(Debug)]
pub(crate) struct Engine {
    base: Base,
    hosted: bool,
    common: [CommonTimeout; COMMON.len()],
    ids: [Cell<Option<EventId>>; EVENTS],
}

fn duration(time: Micros) -> Duration {
    Duration::from_micros(time)
}

fn micros(time: Duration) -> Micros {
    time.as_micros() as Micros - WALL_OFFSET * 1_000_000
}

impl Engine {
    fn id(&self, event: usize) -> Result<EventId, Error> {
        self.ids[event].get().ok_or(Error::Closed)
    }

    fn hand_out(player: &Player<Self>, ready: &Ready) {
        player.called(ready.data, ready.fd, ready.what);
    }

    /// The loop in the steps of a host, which sleeps until the kernel's timer or makes the base's wait.
    fn run_hosted(&self, player: &Player<Self>, flags: LoopFlags) -> Result<i32, Error> {
        self.base.enter(flags)?;
        loop {
            match self.base.next(Wait::Never)? {
                Step::Event(ready) => Self::hand_out(player, &ready),
                Step::Idle if player.program.settings.method == Method::Epoll => player.sleep(None),
                Step::Idle => {
                    let mut wait = self.base.start_wait()?;
                    let waited = wait.wait();
                    self.base.finish_wait(wait)?;
                    waited?;
                    player.found_before();
                }
                Step::Host | Step::Watcher(_) => {}
                Step::Done(result) => {
                    self.base.leave();
                    return Ok(result as i32);
                }
            }
        }
    }

    fn state(&self, event: usize, infos: &[EventInfo]) -> State {
        let Ok(id) = self.id(event) else { return State::default() };
        let Ok(priority) = self.base.priority(id) else { return State::default() };
        let idle = State { exists: true, priority, ..State::default() };
        infos.iter().find(|info| info.id == id).map_or(idle, |info| State {
            inserted: info.pending.intersects(What::IO | What::SIGNAL),
            deadline: info.expires_at.map(micros),
            active: info.is_active.then_some(info.active.bits()),
            ..idle
        })
    }
}

impl Side for Engine {
    const IS_LIBEVENT: bool = false;
    const FIRST_FD: RawFd = 300;

    fn new(settings: &Settings) -> Self {
        let mut flags = BaseFlags::IGNORE_ENV;
        flags.set(BaseFlags::NOLOCK, !settings.locks);
        flags.set(BaseFlags::NO_CACHE_TIME, !settings.cached_time);
        flags.set(BaseFlags::EPOLL_USE_CHANGELIST, settings.changelist);
        let config = Config::new().set_flags(flags).set_priorities(settings.priorities);
        let config = config.set_max_dispatch_interval(
            settings.longest_pass.map(duration),
            settings.most_callbacks,
            settings.limited_from,
        );
        let config = settings
            .method
            .others()
            .fold(config, |config, name| config.avoid_method(&name.to_string_lossy()));
        let base = Base::with_config(&config).unwrap_or_else(|error| panic!("a base: {error}"));
        let method = base.method().unwrap_or_default();
        assert!(method.as_bytes().starts_with(settings.method.name().to_bytes()), "{method}");
        if settings.hosted && settings.method == Method::Epoll {
            // Makes the timer descriptor for deadlines.
            assert!(base.descriptor().is_ok_and(|descriptor| descriptor.is_some()));
        }
        let common = COMMON.map(|time| {
            let common = base.common_timeout(duration(time));
            common.unwrap_or_else(|error| panic!("a common timeout: {error}"))
        });
        Engine { base, common, hosted: settings.hosted, ids: Default::default() }
    }

    fn create(&self, player: &Player<Self>, event: usize, kind: &Kind) -> bool {
        let fd = player.number_of(kind);
        let mut spec = EventSpec::io(fd, kind.what).data(event as u64);
        if let Some(priority) = kind.priority {
            spec = spec.priority(priority);
        }
        self.ids[event].set(self.base.create(spec).ok());
        self.ids[event].get().is_some()
    }

    fn free(&self, event: usize) {
        if let Some(id) = self.ids[event].take() {
            _ = self.base.free(id);
        }
    }

    fn add(&self, _player: &Player<Self>, event: usize, timeout: Timeout) -> bool {
        let add = |id| match timeout {
            Timeout::Never => self.base.add(id, None),
            Timeout::After(time) => self.base.add(id, Some(duration(time))),
            Timeout::Common(common) => self.base.add_common(id, self.common[common]),
        };
        self.id(event).and_then(add).is_ok()
    }

    fn add_mixed(&self, player: &Player<Self>, event: usize, timeout: Timeout) -> bool {
        self.add(player, event, timeout)
    }

    fn del(&self, event: usize) -> bool {
        self.id(event).and_then(|id| self.base.del(id)).is_ok()
    }

    fn remove_timer(&self, event: usize) -> bool {
        self.id(event).and_then(|id| self.base.remove_timer(id)).is_ok()
    }

    fn activate(&self, event: usize, what: What, _put_off: bool) -> bool {
        self.id(event).and_then(|id| self.base.activate(id, what)).is_ok()
    }

    fn activate_times(&self, event: usize, what: What, times: u16) -> bool {
        self.id(event).and_then(|id| self.base.activate_signal(id, what, times.into())).is_ok()
    }

    fn activate_by_signal(&self, number: c_int) -> bool {
        self.base.activate_by_signal(number).is_ok()
    }

    fn activate_later(&self, event: usize, what: What) -> bool {
        self.id(event).and_then(|id| self.base.activate_later(id, what)).is_ok()
    }

    fn activate_by_fd(&self, fd: RawFd, what: What) -> bool {
        self.base.activate_by_fd(fd, what).is_ok()
    }

    fn set_priority(&self, event: usize, priority: u8) -> bool {
        self.id(event).and_then(|id| self.base.set_priority(id, priority)).is_ok()
    }

    fn set_priorities(&self, count: u8) -> bool {
        self.base.set_priorities(count).is_ok()
    }

    fn once(
        &self,
        _player: &Player<Self>,
        number: u64,
        fd: RawFd,
        what: What,
        timeout: Option<Micros>,
    ) -> bool {
        self.base.once(fd, what, number, timeout.map(duration)).is_ok()
    }

    fn finalize(&self, event: usize) -> bool {
        self.id(event).and_then(|id| self.base.finalize(id)).is_ok()
    }

    fn exit(&self, after: Option<Micros>) -> bool {
        self.base.loop_exit(after.map(duration)).is_ok()
    }

    fn break_off(&self) -> bool {
        self.base.loop_break().is_ok()
    }

    fn go_on(&self) -> bool {
        self.base.loop_continue().is_ok()
    }

    fn run(&self, player: &Player<Self>, flags: LoopFlags) -> i32 {
        let result = if self.hosted {
            self.run_hosted(player, flags)
        } else {
            self.base.run(flags, |_, ready| Self::hand_out(player, &ready)).map(|result| result as i32)
        };
        result.unwrap_or(-1)
    }

    fn update_time(&self) -> bool {
        self.base.update_cached_time().is_ok()
    }

    fn cached_time(&self) -> Micros {
        self.base.now().map(micros).unwrap_or_default()
    }

    fn got(&self) -> (bool, bool) {
        (self.base.got_exit().unwrap_or_default(), self.base.got_break().unwrap_or_default())
    }

    fn counts(&self) -> (usize, usize) {
        let count = |flags| self.base.count_events(flags).unwrap_or_default();
        (count(CountFlags::ACTIVE), count(CountFlags::ADDED))
    }

    fn is_registered(&self, number: u64) -> bool {
        let infos = self.base.events().unwrap_or_default();
        infos.iter().any(|info| info.data == number && info.pending.intersects(What::IO))
    }

    fn states(&self) -> States {
        let infos = self.base.events().unwrap_or_default();
        std::array::from_fn(|event| self.state(event, &infos))
    }
}
