//! Components that no honest compiler makes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may panic as the test itself may"
)]

use std::time::{Duration, Instant};

use prunella_core::policy::{Grants, Limits};
use prunella_engine::Strategy;
use prunella_hostile::{
    context, engine, healable_host, limits, named,
    odd::{EXPORTS, hoarder, of_wat},
    the_next_one_is_served,
};
use rstest::rstest;

fn load(wat: &str) -> Strategy {
    let wasm = of_wat(wat);
    engine()
        .load(&named("odd"), &wasm, &Grants::default())
        .unwrap()
}

/// Each of these misbehaves before or beside any code of a Rust guest.
#[rstest]
#[case::loops_at_its_start(
    r#"(memory (export "memory") 1)
       (func $f) (func $start (loop br 0)) (start $start)"#,
    "cpu-limit"
)]
#[case::is_born_huge(r#"(memory (export "memory") 60000) (func $f)"#, "memory-limit")]
#[case::grows_in_pieces(
    r#"(memory (export "memory") 1)
       (func $f (loop (drop (memory.grow (i32.const 1))) (br 0)))"#,
    "memory-limit"
)]
#[case::grows_beyond_its_own_word(
    r#"(memory (export "memory") 1 2)
       (func $f (loop (drop (memory.grow (i32.const 100))) (br 0)))"#,
    "cpu-limit"
)]
#[case::grows_a_table(
    r#"(memory (export "memory") 1) (table $t 0 funcref)
       (func $f (loop (drop (table.grow $t (ref.null func) (i32.const 3000000))) (br 0)))"#,
    "memory-limit"
)]
#[case::is_born_with_a_huge_table(
    r#"(memory (export "memory") 1) (table 9000000 funcref) (func $f)"#,
    "memory-limit"
)]
#[case::reads_beyond_its_memory(
    r#"(memory (export "memory") 1)
       (func $f (drop (i32.load (i32.const -4))))"#,
    "trap"
)]
#[case::calls_nobody(
    r#"(memory (export "memory") 1) (table 1 funcref) (type $t (func))
       (func $f (call_indirect (type $t) (i32.const 0)))"#,
    "trap"
)]
#[case::fills_memory_in_one_instruction(
    r#"(memory (export "memory") 200)
       (func $f (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 13107200)) (br 0)))"#,
    "cpu-limit"
)]
fn it_is_stopped(#[case] body: &str, #[case] kind: &str) {
    let strategy = load(&format!("(module {body} {EXPORTS})"));
    let began = Instant::now();
    let run = strategy.heal(context(&healable_host(), "", limits()));
    assert!(began.elapsed() < limits().deadline + Duration::from_secs(2));
    let error = run.result.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(run.usage.memory_peak <= limits().memory);
    the_next_one_is_served();
}

/// A pointer to anywhere as the answer.
#[rstest]
#[case::outside("i32.const -8")]
#[case::unaligned("i32.const 3")]
fn an_answer_from_nowhere(#[case] pointer: &str) {
    let exports = EXPORTS.replace("call $f unreachable", pointer);
    let strategy = load(&format!(
        r#"(module (memory (export "memory") 1) {exports})"#
    ));
    let error = strategy.describe(&limits()).result.unwrap_err();
    assert_eq!(error.kind(), "trap", "{error}");
}

/// A list that claims to be longer than all of memory.
#[test]
fn a_list_that_claims_to_be_endless() {
    // description: five strings' worth of pointers and lengths, all enormous.
    let exports = EXPORTS.replace("call $f unreachable", "i32.const 64");
    let strategy = load(&format!(
        r#"(module (memory (export "memory") 1)
            (data (i32.const 64) "{}") {exports})"#,
        "\\00\\00\\00\\00\\ff\\ff\\ff\\7f".repeat(5)
    ));
    let error = strategy.describe(&limits()).result.unwrap_err();
    assert!(["trap", "data-limit"].contains(&error.kind()), "{error}");
    the_next_one_is_served();
}

/// Handles of a component's own resources live in the host's memory too.
#[test]
fn hoards_resources_of_its_own() {
    let strategy = engine()
        .load(&named("odd"), &hoarder(), &Grants::default())
        .unwrap();
    let patient = Limits {
        cpu: Duration::from_secs(10),
        deadline: Duration::from_secs(20),
        ..limits()
    };
    let error = strategy.describe(&patient).result.unwrap_err();
    assert_eq!(error.kind(), "trap", "{error}");
    assert!(error.to_string().contains("handle"), "{error}");
    the_next_one_is_served();
}
