//! What becomes of a component that misbehaves while it runs: each ends in its
//! own clear error, within its limits, and the next incident is served.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may panic as the test itself may"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use prunella_core::{
    Failure, FailureKind,
    incident::{Assessment, Outcome},
    policy::Limits,
};
use prunella_engine::{Cause, Level, RunError};
use prunella_hostile::{
    Kept, context, context_with, healable_host, host, hostile, limits, misbehave, strict,
    the_next_one_is_served,
};
use rstest::rstest;

/// What a run may take longer than its limits: a tick or two, and what a busy
/// machine takes to let a thread run.
const SLACK: Duration = Duration::from_millis(1500);

#[rstest]
#[case::endless_loop("loop", "cpu-limit", "raise `cpu` under [strategy.hostile.limits]")]
#[case::says_panic_and_loops("panic-and-lie", "cpu-limit", "150 ms of processor time")]
#[case::memory_bomb("eat-memory", "memory-limit", "may have 16 MiB")]
#[case::deep_recursion("recurse", "stack-overflow", "recursion without end")]
#[case::recursion_with_large_frames(
    "recurse-with-large-frames",
    "trap",
    "out of bounds memory access in `prunella_hostile_guest::recurse_with_large_frames`"
)]
#[case::huge_string("huge-string", "data-limit", "raise `data-per-call`")]
#[case::a_million_calls("call-for-ever", "host-call-quota", "more than 1000 calls")]
#[case::a_million_lines("write-for-ever", "host-call-quota", "raise `host-calls`")]
#[case::sleeps_for_ever("sleep-for-ever", "deadline", "was not done after 2 s of healing")]
#[case::hoards_by_getter("hoard-processes", "handle-quota", "held 64 handles")]
#[case::traps("trap", "trap", "code that must not be reached")]
#[case::panics("panic", "panic", "the parser met a comma\\nand did not like it")]
#[case::divides("divide", "panic", "attempt to divide by zero")]
fn it_is_stopped(#[case] way: &str, #[case] kind: &str, #[case] said: &str) {
    let began = Instant::now();
    let sim = host().in_real_time();
    let run = hostile().heal(context(&sim, way, limits()));
    let took = began.elapsed();

    let error = run.result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let message = error.to_string();
    assert!(message.contains("strategy `hostile`"), "{message}");
    assert!(message.contains(said), "{message}");
    assert!(!message.contains(['\n', '\u{1b}']), "{message}");

    assert!(took < limits().deadline + SLACK, "it took {took:?}");
    assert!(run.usage.cpu < limits().cpu + SLACK, "{:?}", run.usage);
    assert!(run.usage.memory_peak <= limits().memory, "{:?}", run.usage);
    assert_eq!(sim.acts(), [""; 0], "nothing was done");
    the_next_one_is_served();
}

#[test]
fn a_panic_tells_where() {
    let error = misbehave("panic").result.unwrap_err();
    let Cause::Panic { file, line, .. } = &error.cause else {
        panic!("{error}");
    };
    assert!(file.ends_with("guest/src/lib.rs"), "{file}");
    assert!(*line > 100, "{line}");
}

#[test]
fn a_trap_tells_in_which_function() {
    let error = misbehave("recurse").result.unwrap_err();
    let Cause::StackOverflow { trace } = &error.cause else {
        panic!("{error}");
    };
    assert_eq!(trace[0], "`prunella_hostile_guest::recurse`");
}

/// Quotas that a strategy is told of, so that it can end well.
#[rstest]
#[case::calls("call-politely", "bus-calls")]
#[case::metrics("measure-for-ever", "metric-reads")]
#[case::journal("read-for-ever", "journal-bytes")]
#[case::hashes("hash-for-ever", "hashed-bytes")]
#[case::handles("hoard-units", "handles")]
fn it_is_told(#[case] way: &str, #[case] quota: &str) {
    let run = misbehave(way);
    let failure = run.result.unwrap().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Quota);
    assert_eq!(failure.code.as_deref(), Some(quota));
    assert!(
        failure
            .message
            .contains(&format!("`{quota}` under [strategy.hostile.limits]"))
    );
    assert!(run.usage.journal_bytes <= limits().journal_bytes);
    assert!(run.usage.hashed_bytes <= limits().hashed_bytes);
    assert!(run.usage.bus_calls <= limits().bus_calls);
    assert!(run.usage.metric_reads <= limits().metric_reads);
    assert!(run.usage.handles_peak <= limits().handles);
    the_next_one_is_served();
}

#[test]
fn calls_run_out_politely_first() {
    let few = Limits {
        host_calls: 50,
        ..limits()
    };
    let run = hostile().heal(context(&host(), "call-politely", few));
    assert!(run.result.unwrap().unwrap_err().is("host-calls"));
    assert!(run.usage.host_calls < 150);
}

#[test]
fn a_million_lines_are_a_thousand() {
    let run = misbehave("ask-for-a-million-lines");
    let Ok(Ok(Outcome::Failed { reason })) = run.result else {
        panic!("{:?}", run.result);
    };
    assert_eq!(reason, "1000");
}

#[test]
fn lines_beyond_the_limit_are_dropped_and_that_is_said_once() {
    let kept = Arc::new(Kept::default());
    let small = Limits {
        log_bytes: 1000,
        ..limits()
    };
    let run = hostile().heal(context_with(
        &host(),
        "write-for-ever",
        small,
        Arc::clone(&kept),
    ));
    assert!(run.usage.log_bytes <= 1000);
    assert!(run.usage.lines_dropped > 900);
    let lines = kept.lines();
    let (last, before) = lines.split_last().unwrap();
    assert_eq!(last.0, Level::Warn);
    assert!(last.1.contains("`log-bytes` is used up"));
    assert!(before.iter().all(|(level, _)| *level == Level::Info));
    assert!((1..20).contains(&before.len()), "{before:?}");
}

#[test]
fn handles_that_are_let_go_cost_nothing() {
    let run = misbehave("use-and-let-go");
    assert!(
        matches!(run.result, Ok(Ok(Outcome::NotApplicable { .. }))),
        "{:?}",
        run.result
    );
    assert_eq!(run.usage.handles_peak, 1);
}

#[test]
fn a_sleep_ends_at_the_deadline() {
    let short = Limits {
        deadline: Duration::from_millis(300),
        ..limits()
    };
    let began = Instant::now();
    let run = hostile().heal(context(&host().in_real_time(), "sleep", short));
    assert!(began.elapsed() < Duration::from_millis(300) + SLACK);
    // Either it could still say so, or it was too late for that.
    match run.result {
        Ok(Err(failure)) => assert_eq!(failure.kind, FailureKind::TimedOut),
        Err(error) => assert_eq!(error.kind(), "deadline"),
        Ok(Ok(said)) => panic!("{said:?}"),
    }
}

/// A claim is passed on as a claim; nothing here believes it.
#[test]
fn a_lie_is_only_a_claim() {
    let sim = healable_host();
    let run = hostile().heal(context(&sim, "lie", limits()));
    assert!(matches!(run.result, Ok(Ok(Outcome::Healed { .. }))));
    assert!(!sim.status("web.service").is_up());
    assert_eq!(sim.acts(), [""; 0]);
}

#[test]
fn a_strategy_cannot_touch_what_it_was_not_given() {
    let sim = host();
    let mut context = context(&sim, "touch-others", limits());
    context.host = strict(context.host, sim.unit());
    let run = hostile().heal(context);
    let Ok(Ok(Outcome::Failed { reason })) = run.result else {
        panic!("{:?}", run.result);
    };
    let codes: Vec<&str> = reason.split(' ').collect();
    assert_eq!(
        codes,
        [
            "not-granted",
            "not-a-unit-name",
            "not-a-unit-name",
            "not-declared",
            "not-declared",
            "not-declared",
            "not-declared",
            "not-declared",
        ]
    );
    assert_eq!(sim.acts(), [""; 0], "nothing was done");
    the_next_one_is_served();
}

#[rstest]
#[case::a_unit("act")]
#[case::a_check_that_changes_something("run-changing-check")]
fn assessing_never_acts(#[case] way: &str) {
    let sim = host();
    let run = hostile().assess(context(&sim, way, limits()));
    let failure: Failure = run.result.unwrap().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied);
    assert!(failure.is("not-in-assess"), "{failure:?}");
    assert_eq!(sim.acts(), [""; 0]);
}

/// What it keeps is changed while healing only.
#[rstest]
#[case::keeps("remember")]
#[case::forgets("forget")]
fn assessing_changes_nothing_that_is_kept(#[case] way: &str) {
    let sim = host().kept("hostile", "seen", "before");
    let run = hostile().assess(context(&sim, way, limits()));
    let failure = run.result.unwrap().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied);
    assert!(failure.is("not-in-assess"), "{failure:?}");
    assert_eq!(sim.keeps("hostile", "seen").as_deref(), Some("before"));
}

#[test]
fn assessing_sees_what_this_strategy_keeps_and_no_other() {
    let sim = host()
        .kept("hostile", "seen", "mine")
        .kept("another", "seen", "not mine")
        .kept("another", "secret", "not mine");
    let run = hostile().assess(context(&sim, "recall", limits()));
    let Ok(Ok(Assessment::Veto { reason })) = run.result else {
        panic!("{:?}", run.result);
    };
    assert_eq!(reason, "mine seen");
}

#[rstest]
#[case::keys("remember-for-ever", FailureKind::Quota, "state-keys")]
#[case::a_value("remember-much", FailureKind::Quota, "state-value")]
#[case::a_key("remember-oddly", FailureKind::Invalid, "state-key")]
fn kept_state_has_limits(#[case] way: &str, #[case] kind: FailureKind, #[case] code: &str) {
    let sim = host();
    let run = hostile().heal(context(&sim, way, limits()));
    let failure = run.result.unwrap().unwrap_err();
    assert_eq!(failure.kind, kind);
    assert_eq!(failure.code.as_deref(), Some(code));
    assert_eq!(sim.keeps("hostile", "64"), None);
    assert_eq!(sim.keeps("hostile", "much"), None);
    the_next_one_is_served();
}

#[test]
fn where_nothing_can_be_kept_it_is_told() {
    let sim = host().keeps_nothing();
    let run = hostile().assess(context(&sim, "recall", limits()));
    let failure = run.result.unwrap().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.is("no-store"), "{failure:?}");
}

#[test]
fn a_harmless_check_may_run_while_assessing() {
    let sim = host();
    let run = hostile().assess(context(&sim, "run-harmless-check", limits()));
    assert!(matches!(run.result, Ok(Ok(Assessment::Applies { .. }))));
    assert_eq!(sim.acts(), ["run check config"]);
}

#[test]
fn describing_has_no_host() {
    let run = hostile().describe(&limits());
    assert_eq!(run.result.unwrap().unwrap().summary, "not-in-describe");
}

#[test]
fn a_strategys_words_are_made_fit_to_show() {
    let run = hostile().assess(context(&host(), "deceive", limits()));
    let Ok(Ok(Assessment::Applies { confidence, reason })) = run.result else {
        panic!("{:?}", run.result);
    };
    assert_eq!(confidence, 100);
    assert_eq!(
        reason,
        "all is well\\u{1b}[2J\\r\\nroot@host:~# rm -rf /\\u{202e}"
    );

    let run = hostile().assess(context(&host(), "talk", limits()));
    let Ok(Ok(Assessment::Veto { reason })) = run.result else {
        panic!("{:?}", run.result);
    };
    assert!(reason.chars().count() <= 1100);

    let failure = misbehave("fail").result.unwrap().unwrap_err();
    assert_eq!(failure.code.as_deref(), Some("given\\u{7}-up"));
    assert!(failure.message.chars().count() <= 1100);
}

#[test]
fn an_answer_may_not_be_too_long() {
    let run = hostile().assess(context(&host(), "return-too-much", limits()));
    let error: RunError = run.result.unwrap_err();
    assert_eq!(error.kind(), "data-limit");
}

#[test]
fn runs_side_by_side_have_limits_of_their_own() {
    std::thread::scope(|scope| {
        let loops: Vec<_> = (0..4).map(|_| scope.spawn(|| misbehave("loop"))).collect();
        let honest: Vec<_> = (0..4)
            .map(|_| scope.spawn(the_next_one_is_served))
            .collect();
        for run in loops {
            let run = run.join().unwrap();
            assert_eq!(run.result.unwrap_err().kind(), "cpu-limit");
            assert!(run.usage.cpu < limits().cpu + SLACK, "{:?}", run.usage);
        }
        for run in honest {
            run.join().unwrap();
        }
    });
}
