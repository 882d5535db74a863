//! The backends poll and select.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use event_base::{Base, BaseFlags, Clock, Config, EventSpec, Features, LoopResult, What};

use crate::support::{
    CountingClock, ONE_PASS, WAIT, drain, duplicate, duplicate_from, fd, fill, ms, only, pair, replace, run,
    run_quietly, run_watched, tcp_pair, watch,
};

/// Every backend that is not edge-triggered, with a clock that counts its readings.
fn each(mut test: impl FnMut(Base, &CountingClock)) {
    for name in ["poll", "select"] {
        let clock = Arc::new(CountingClock::default());
        let config =
            Config::new().set_flags(BaseFlags::IGNORE_ENV).set_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let base = Base::with_config(&only(config, name)).unwrap();
        assert_eq!(base.method(), Ok(name));
        test(base, &clock);
    }
}

#[test]
fn an_edge_triggered_event_is_reported_as_long_as_it_is_ready() {
    each(|base, _| {
        let (reader, mut writer) = pair();
        writer.write_all(b"x").unwrap();
        let event = watch(&base, fd(&reader), What::READ | What::ET | What::PERSIST);
        for _ in 0..3 {
            assert_eq!(run(&base, ONE_PASS).1, [(event, What::READ)]);
        }
        drain(&reader);
        assert_eq!(run(&base, ONE_PASS).1, []);
    });
}

#[test]
fn any_kind_of_file_can_be_watched() {
    each(|base, _| {
        let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        let event = watch(&base, fd(&file), What::READ | What::WRITE);
        assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![(event, What::READ | What::WRITE)]));
    });
}

/// The system call that identifies a file fails for this size where its result has 32 bits.
#[test]
fn a_file_of_three_gibibytes_can_be_watched() {
    let path = std::env::temp_dir().join(format!("event-base-large-{}", std::process::id()));
    let file = std::fs::File::create(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.set_len(3 << 30).unwrap();
    each(|base, _| {
        let event = watch(&base, fd(&file), What::WRITE);
        assert_eq!(run(&base, WAIT), (LoopResult::Empty, vec![(event, What::WRITE)]));
    });
}

/// W2: libevent 2.2 spins here after the first wake-up.
#[test]
fn a_wake_up_drains_the_notifier() {
    each(|base, clock| {
        let user = base.create(EventSpec::user()).unwrap();
        base.retain().unwrap();
        let mut fired = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..3 {
                    std::thread::sleep(ms(30));
                    base.activate(user, What::READ).unwrap();
                }
                std::thread::sleep(ms(30));
                base.release().unwrap();
            });
            run_watched(&base, WAIT, |_, _| fired += 1);
        });
        assert_eq!(fired, 3);
        assert!(clock.reads() < 100, "the loop spins: {} readings of the clock", clock.reads());
    });
}

#[test]
fn changes_of_another_thread_apply_to_the_wait_in_progress() {
    each(|base, clock| {
        let (reader, mut writer) = pair();
        let (other, _peer) = pair();
        base.retain().unwrap();
        let removed = watch(&base, fd(&reader), What::READ | What::PERSIST);
        let mut trace = vec![];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(ms(30));
                base.del(removed).unwrap();
                writer.write_all(b"unread").unwrap();
                std::thread::sleep(ms(30));
                watch(&base, fd(&other), What::WRITE);
            });
            run_watched(&base, WAIT, |base, ready| {
                trace.push(ready.what);
                base.release().unwrap();
            });
        });
        assert_eq!(trace, [What::WRITE]);
        assert!(clock.reads() < 100, "the loop spins: {} readings of the clock", clock.reads());
    });
}

/// A thousand descriptors are added and deleted while the loop sleeps and wakes.
#[test]
fn no_change_of_another_thread_is_lost() {
    each(|base, _| {
        base.retain().unwrap();
        let pairs: Vec<_> = (0..100).map(|_| pair()).collect();
        let mut fired = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for (ours, _) in &pairs {
                    let passing = watch(&base, fd(ours), What::READ | What::PERSIST);
                    watch(&base, fd(ours), What::WRITE);
                    base.free(passing).unwrap();
                }
            });
            run_watched(&base, WAIT, |base, ready| {
                assert_eq!(ready.what, What::WRITE);
                fired += 1;
                if fired == pairs.len() {
                    base.release().unwrap();
                }
            });
        });
        assert_eq!(fired, pairs.len());
    });
}

/// libevent's poll reports a persistent event in every pass, and its select makes the loop fail.
#[test]
fn a_closed_descriptor_is_reported_once_and_deregistered() {
    each(|base, clock| {
        let (socket, _peer) = pair();
        let (other, _other_peer) = pair();
        let bystander = watch(&base, fd(&other), What::READ | What::PERSIST);
        let early = base.features().unwrap().contains(Features::EARLY_CLOSE);
        let closed = duplicate_from(&socket, 850);
        let mut events: Vec<_> = [What::READ, What::WRITE | What::PERSIST]
            .into_iter()
            .map(|what| (watch(&base, fd(&closed), what), what.io()))
            .collect();
        if early {
            events.push((watch(&base, fd(&closed), What::CLOSED), What::CLOSED));
        }
        drop(closed);
        assert_eq!(run_quietly(&base, clock), events);
        for (event, _) in events {
            assert_eq!(base.pending(event, What::all()), Ok(What::empty()));
        }
        assert_eq!(base.pending(bystander, What::all()), Ok(What::READ));
    });
}

#[test]
fn a_descriptor_closed_while_the_loop_sleeps_does_not_fail_the_next_waits() {
    each(|base, clock| {
        let (socket, _peer) = pair();
        let closed = duplicate_from(&socket, 870);
        let event = watch(&base, fd(&closed), What::READ | What::PERSIST);
        let user = base.create(EventSpec::user()).unwrap();
        let mut closed = Some(closed);
        let mut trace = vec![];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(ms(30));
                closed = None;
                base.activate(user, What::WRITE).unwrap();
            });
            run_watched(&base, WAIT, |_, ready| trace.push((ready.id, ready.what)));
        });
        // A select in progress returns it as readable, and the next one refuses it.
        trace.dedup();
        assert_eq!(trace, [(user, What::WRITE), (event, What::READ)]);
        assert!(clock.reads() < 100, "the loop spins: {} readings of the clock", clock.reads());
    });
}

#[test]
fn a_descriptor_that_became_another_file_is_found_when_an_event_is_added() {
    each(|base, _| {
        let (ours, mut old_peer) = pair();
        let (other, mut new_peer) = pair();
        let _kept = duplicate(&ours);
        let old = watch(&base, fd(&ours), What::READ | What::PERSIST);
        replace(&ours, &other);
        let new = watch(&base, fd(&ours), What::READ | What::PERSIST);
        old_peer.write_all(b"unread").unwrap();
        new_peer.write_all(b"x").unwrap();
        assert_eq!(run(&base, ONE_PASS).1, [(new, What::READ)]);
        assert_eq!(base.pending(old, What::all()), Ok(What::empty()));
    });
}

/// W11. select cannot report that the peer closed.
#[test]
fn an_error_is_reported_to_every_interest_that_the_backend_knows() {
    each(|base, clock| {
        let (ours, theirs) = tcp_pair();
        fill(&ours);
        let early = base.features().unwrap().contains(Features::EARLY_CLOSE);
        let kinds = [What::READ, What::WRITE, What::CLOSED];
        let events: Vec<_> = kinds[..if early { 3 } else { 2 }]
            .iter()
            .map(|what| (watch(&base, fd(&ours), *what), *what))
            .collect();
        drop(theirs);
        assert_eq!(run_quietly(&base, clock), events);
    });
}

#[test]
fn a_timer_is_exact_and_never_early() {
    each(|base, clock| {
        for micros in [1, 300, 1_700, 12_345] {
            let start = base.monotonic().unwrap();
            base.create_and_add(EventSpec::timer(), Some(Duration::from_micros(micros))).unwrap();
            assert_eq!(run(&base, WAIT).0, LoopResult::Empty);
            assert!(base.monotonic().unwrap() - start >= Duration::from_micros(micros));
        }
        assert!(clock.reads() < 100, "the loop spins: {} readings of the clock", clock.reads());
    });
}
