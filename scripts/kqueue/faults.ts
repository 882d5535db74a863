// The faults of libkqueue, and the tests of the engine that they make fail.

/** A fault. */
export interface Fault {
  /** The name of the program that shows it: `NAME.c` in this folder. */
  readonly name: string
  /** What libkqueue does. */
  readonly what: string
  /** The tests that it makes fail: the binary, and the path there. */
  readonly tests: readonly string[]
  /** Tests that it makes fail in some runs, which may also pass. */
  readonly sometimes?: readonly string[]
}

export const FAULTS: readonly Fault[] = [
  {
    name: 'receipts',
    what: 'A call that writes receipts returns 0, and a receipt of an error has no EV_ERROR; the engine reads the receipts without the number.',
    tests: [],
  },
  {
    name: 'enable',
    what: 'An enabled filter cannot be enabled; the engine ignores this error.',
    tests: [],
  },
  {
    name: 'second-filter',
    what: 'A descriptor can have one filter only, EVFILT_READ or EVFILT_WRITE.',
    tests: [
      'lib::backend::kqueue::tests::deferred_changes_are_made_by_the_flush',
      'conformance::edge_triggered::c_081_et_multiple_events',
      'conformance::events::c_048_event_pending',
      'conformance::readiness::c_044_multiple_events_for_same_fd',
      'conformance::transfers::c_036_multiple',
      'conformance::transfers::c_037_persistent',
      'conformance::transfers::c_038_combined',
      'forked::deleted::an_event_that_a_child_deleted_is_not_registered_by_reinit',
      'rules::closed_bases::a_base_with_pending_and_active_events_can_be_closed',
      'rules::descriptors::an_error_is_reported_to_every_interest',
      'rules::descriptors::each_event_gets_readiness_of_its_own_interest_only',
      'rules::reused_descriptors::deleting_one_of_two_events_of_the_closed_descriptor_affects_neither_file',
      'rules::reused_descriptors::every_event_of_the_closed_descriptor_is_deleted_and_can_be_added_again',
    ],
  },
  {
    name: 'not-pollable',
    what: 'The descriptor of a kqueue is not readable while the kqueue has events, so a host cannot watch it.',
    tests: [
      'forked::deleted::a_deletion_in_a_child_does_not_wake_the_parent',
      'forked::parent_and_child::a_child_does_not_affect_the_parent',
      'forked::parent_and_child::a_wake_up_that_is_pending_at_the_fork_wakes_parent_and_child_once',
      'forked::parent_and_child::the_descriptor_keeps_its_number_in_the_child',
      'rules::base_without_locks::a_host_can_drive_it',
      'rules::exclusive_events::an_epoll_instance_is_watched_all_the_same',
      'rules::hosts::a_busy_host_loses_no_wake_up',
      'rules::hosts::a_deadline_in_five_centuries_is_accepted',
      'rules::hosts::a_wake_up_of_an_awake_base_is_not_lost',
      'rules::hosts::every_wake_up_makes_the_descriptor_readable',
      'rules::hosts::replacing_the_kernel_object_keeps_the_number_and_changes_the_epoch',
      'rules::hosts::the_descriptor_is_readable_when_a_deadline_has_passed',
      'rules::hosts::the_descriptor_is_readable_when_an_event_is',
      'rules::hosts::the_descriptor_is_readable_when_an_exit_is_due',
      'rules::hosts::the_descriptor_may_be_requested_while_the_base_sleeps',
    ],
  },
  {
    name: 'closed-descriptor',
    what: 'The filters of a descriptor outlive it.',
    tests: [
      'logging::a_callback_may_replace_itself',
      'logging::a_callback_may_use_the_base_whose_message_it_is',
      'logging::a_callback_that_panics_does_not_affect_the_base',
      'logging::a_descriptor_closed_under_its_event_is_a_warning_that_names_both',
      'logging::a_message_is_reported_on_the_thread_that_caused_it',
      'logging::a_message_logged_by_a_callback_is_not_reported_to_it',
      'logging::without_a_callback_warnings_are_written_to_standard_error',
      'rules::exclusive_events::a_registration_that_the_kernel_kept_is_replaced_by_one_of_the_other_kind',
      'rules::exclusive_events::an_exclusive_event_of_a_closed_descriptor_does_not_block_its_number',
      'rules::reused_descriptors::a_duplicate_that_keeps_the_old_file_alive_does_not_make_the_loop_spin',
      'rules::reused_descriptors::a_level_triggered_registration_of_the_closed_file_allows_an_edge_triggered_event',
      'rules::reused_descriptors::only_the_event_on_the_new_file_fires',
      'rules::reused_descriptors::readiness_reported_for_the_closed_descriptor_is_cancelled',
      'rules::waking::a_transient_event_orphaned_by_another_thread_is_reported_immediately',
    ],
  },
  {
    name: 'error-numbers',
    what: 'A descriptor that is not open is refused with EFAULT.',
    tests: [
      'forked::reinit::a_descriptor_that_the_child_closed_does_not_make_reinit_fail',
      'rules::descriptors::a_number_that_is_not_a_descriptor_is_refused_and_takes_no_memory',
      'rules::once_events::one_that_fails_leaves_nothing_behind',
    ],
  },
  {
    name: 'not-checked-again',
    what: 'A filter that is added or enabled again is not evaluated.',
    tests: ['rules::descriptors::adding_an_edge_triggered_event_reports_existing_readiness_to_every_event'],
  },
  {
    name: 'early-timeout',
    what: 'A wait ends up to a millisecond before its timeout.',
    tests: [],
    sometimes: ['rules::waits_made_by_a_host::the_wait_ends_at_the_first_deadline'],
  },
  {
    name: 'eventfd',
    what: 'The descriptors of eventfd(2) and epoll_create(2) are refused.',
    tests: ['rules::debug_mode::files_and_terminals_in_blocking_mode_are_accepted'],
  },
  {
    name: 'blocked-signal',
    what: 'A signal that was watched stays blocked.',
    tests: [
      'forked::default_actions::a_signal_ends_a_process_whose_handler_was_restored_after_the_last_base_was_closed',
    ],
  },
  {
    name: 'closed-while-waiting',
    what: 'A wait may not end if its kqueue is closed, although an event was triggered before.',
    tests: [],
    sometimes: [
      'rules::waits_made_by_a_host::a_base_can_be_reinitialized_while_the_wait_is_away',
      'rules::waits_made_by_a_host::reinit_is_allowed_while_the_wait_is_away_and_ends_it',
    ],
  },
  {
    name: 'deleted-while-waiting',
    what: 'A process crashes if a thread deletes a filter while another one waits.',
    tests: [],
    sometimes: ['threads_against_a_running_loop::the_counters_return_to_zero_and_the_loop_ends'],
  },
  {
    name: 'threads',
    what: 'Threads that create and close kqueues at the same time block each other for ever.',
    tests: [],
    sometimes: ['conformance::threads::c_093_debug_mode_too_late_race'],
  },
  {
    name: 'three-descriptors',
    what: 'A kqueue has three descriptors; execve(2) does not close two of them, and a thread closes them some time after the first.',
    tests: [
      'resources::a_base_without_a_free_descriptor_fails_and_leaks_none',
      'resources::every_descriptor_of_a_base_is_closed_on_exec',
    ],
    sometimes: [
      'resources::a_base_closed_under_a_loop_releases_its_descriptors_when_the_loop_ends',
      'resources::closing_releases_the_descriptors_although_handles_remain',
      'resources::ten_thousand_bases_leak_no_descriptor_and_no_memory',
    ],
  },
  {
    name: 'events-per-call',
    what: 'A call returns at most 512 events, whatever room there is.',
    tests: ['resources::no_edge_is_lost_however_many_descriptors_are_ready_at_once'],
  },
  {
    name: 'forked',
    what: 'A child inherits the descriptors of a kqueue.',
    tests: ['forked::reinit::reinit_closes_each_descriptor_once'],
  },
  {
    name: 'child',
    what: 'A child that is forked while its parent closes its last kqueue cannot create one.',
    tests: [],
    sometimes: ['forked::conformance::c_088_thread_forking'],
  },
]
