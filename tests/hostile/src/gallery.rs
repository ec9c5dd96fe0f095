//! The hostile files, one of each kind, as a stranger might send them: whatever
//! takes a file of anybody's is tried with all of them.

use prunella_engine::precompile;

use crate::{
    HOSTILE,
    odd::{EXPORTS, hoarder, of_changed_contract, of_wat, of_world},
};

const STRATEGY: &str = "export prunella:strategy/strategy@0.2.0;";

#[derive(Debug, Clone)]
pub struct Exhibit {
    /// What is wrong with it, in a few words that can be a file's name.
    pub name: &'static str,
    pub bytes: Vec<u8>,
    /// Part of the sentence that says so; of what it says of itself, for one that
    /// loads and answers.
    pub said: &'static str,
    /// How far it gets.
    pub gets: Gets,
}

/// How far a hostile file gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gets {
    /// It is no component.
    Nowhere,
    /// It is a component, and Prunella does not load it.
    Refused,
    /// It loads, and does not answer when it is asked who it is.
    Silent,
    /// It loads, and answers: it is hostile only in what it says, or later.
    Loaded,
}

/// All of them.
pub fn gallery() -> Vec<Exhibit> {
    let mut exhibits = no_components();
    exhibits.extend(refused());
    exhibits.extend(silent());
    exhibits.extend(loaded());
    exhibits
}

fn exhibit(name: &'static str, gets: Gets, said: &'static str, bytes: Vec<u8>) -> Exhibit {
    Exhibit {
        name,
        bytes,
        said,
        gets,
    }
}

fn no_components() -> Vec<Exhibit> {
    let half = HOSTILE.get(..HOSTILE.len() / 2).unwrap_or_default();
    let nested = [&b"\0asm\x0d\0\x01\0"[..], &[4, 0x80, 0x80, 0x80, 0x80, 8]].concat();
    [
        (
            "text",
            "is not WebAssembly",
            b"#!/bin/sh\nrm -rf /".to_vec(),
        ),
        ("empty", "cut off after 0 bytes", Vec::new()),
        ("a-beginning", "cut off after 3 bytes", b"\0as".to_vec()),
        ("half", "cut off", half.to_vec()),
        ("noise", "is not WebAssembly", noise(b"")),
        (
            "noise-after-the-magic",
            "is not valid",
            noise(b"\0asm\x0d\0\x01\0"),
        ),
        ("longer-than-it-is", "is too large", nested),
        (
            "core-module",
            "is a core module",
            b"\0asm\x01\0\0\0".to_vec(),
        ),
        (
            "precompiled",
            "is precompiled machine code",
            precompile(HOSTILE).expect("the hostile component compiles"),
        ),
    ]
    .map(|(name, said, bytes)| exhibit(name, Gets::Nowhere, said, bytes))
    .into()
}

fn refused() -> Vec<Exhibit> {
    let changed = |from: &str, to: &str, world: &str| {
        of_changed_contract(|text| text.replace(from, to), world)
    };
    [
        (
            "exports-nothing",
            "it exports nothing",
            b"\0asm\x0d\0\x01\0".to_vec(),
        ),
        (
            "exports-something-else",
            "it exports `run`",
            of_world(&[], "export run: func();"),
        ),
        (
            "wasi",
            "WASI is not offered",
            of_world(
                &["package wasi:cli@0.2.0; interface environment { get: func() -> list<string>; }"],
                &format!("import wasi:cli/environment@0.2.0; {STRATEGY}"),
            ),
        ),
        (
            "lone-function",
            "`run-as-root`, which this host does not offer",
            of_world(
                &[],
                &format!("import run-as-root: func(command: string); {STRATEGY}"),
            ),
        ),
        (
            "another-version",
            "upgrade Prunella",
            of_changed_contract(
                |text| text.replace("@0.2.0", "@9.0.0"),
                "export prunella:strategy/strategy@9.0.0;",
            ),
        ),
        (
            "other-types",
            "otherwise than the contract has it",
            changed(
                "load: func() -> result<load-average, failure>;",
                "load: func() -> u8;",
                &format!("import prunella:observe/resources@0.2.0; {STRATEGY}"),
            ),
        ),
        (
            "without-heal",
            "`heal`",
            changed(
                "heal: func(incident: borrow<incident>) -> result<outcome, failure>;",
                "",
                STRATEGY,
            ),
        ),
    ]
    .map(|(name, said, bytes)| exhibit(name, Gets::Refused, said, bytes))
    .into()
}

fn silent() -> Vec<Exhibit> {
    [
        (
            "loops-at-its-start",
            "processor time",
            r#"(memory (export "memory") 1)
               (func $f) (func $start (loop br 0)) (start $start)"#,
        ),
        (
            "loops",
            "processor time",
            r#"(memory (export "memory") 1) (func $f (loop br 0))"#,
        ),
        (
            "huge-memory",
            "may have 64 MiB",
            r#"(memory (export "memory") 60000) (func $f)"#,
        ),
        (
            "huge-table",
            "may have 64 MiB",
            r#"(memory (export "memory") 1) (table 9000000 funcref) (func $f)"#,
        ),
        (
            "eats-memory",
            "may have 64 MiB",
            r#"(memory (export "memory") 1)
               (func $f (loop (drop (memory.grow (i32.const 1))) (br 0)))"#,
        ),
        (
            "recurses",
            "recursion without end",
            r#"(memory (export "memory") 1) (func $f call $f)"#,
        ),
        (
            "reads-beyond-its-memory",
            "out of bounds",
            r#"(memory (export "memory") 1) (func $f (drop (i32.load (i32.const -4))))"#,
        ),
        (
            "traps",
            "must not be reached",
            r#"(memory (export "memory") 1) (func $f unreachable)"#,
        ),
    ]
    .map(|(name, said, wat)| {
        let wasm = of_wat(&format!("(module {wat} {EXPORTS})"));
        exhibit(name, Gets::Silent, said, wasm)
    })
    .into_iter()
    .chain([exhibit(
        "hoards-handles",
        Gets::Silent,
        "handles",
        hoarder(),
    )])
    .collect()
}

fn loaded() -> Vec<Exhibit> {
    // Erases the screen, sets the window's title, and goes on in a new line.
    let escapes = r"\1b[2J\1b]0;owned\07\0a\0aroot: granted";
    let says = |length: &str| {
        let text = r"\00\04\00\00".to_owned() + length;
        of_wat(&format!(
            r#"(module (memory (export "memory") 64)
                (data (i32.const 1024) "{escapes}")
                (data (i32.const 512) "{}\00\04\00\00\00\00\00\00")
                (func (export "prunella:strategy/strategy@0.2.0#describe") (result i32) i32.const 512)
                (func (export "prunella:strategy/strategy@0.2.0#assess") (param i32) (result i32) unreachable)
                (func (export "prunella:strategy/strategy@0.2.0#heal") (param i32) (result i32) unreachable)
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024))"#,
            text.repeat(4)
        ))
    };
    [
        ("escapes", "root: granted", says(r"\1e\00\00\00")),
        // Four texts of 192 KiB each: within what one call may pass.
        ("talks-much", "root: granted", says(r"\00\00\03\00")),
        ("hostile-when-it-runs", "hostile", HOSTILE.to_vec()),
    ]
    .map(|(name, said, bytes)| exhibit(name, Gets::Loaded, said, bytes))
    .into()
}

/// The same bytes every time: xorshift.
fn noise(prefix: &[u8]) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = prefix.to_vec();
    bytes.extend((0..5000).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    }));
    bytes
}
