//! One component with many ways of misbehaving; the setting `do` picks one.

#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    unconditional_recursion,
    reason = "misbehaving is what it is for"
)]
#![cfg_attr(
    target_family = "wasm",
    allow(unsafe_code, reason = "a trap that is no panic")
)]

use std::{hint::black_box, time::Duration};

use prunella_sdk::prelude::*;

const HOUR: Duration = Duration::from_secs(3600);

struct Hostile;

impl Strategy for Hostile {
    /// Looks, although it may not, and tells what came of it.
    fn describe() -> Description {
        let code = match units::get("web.service") {
            Ok(_) => "allowed".to_owned(),
            Err(failure) => failure.code().unwrap_or_default().to_owned(),
        };
        Description::new("hostile", "0.1.0", code)
            .setting(Setting::text("do", "How to misbehave.").or("nothing"))
    }

    fn assess(incident: &Incident<'_>) -> Result<Assessment> {
        let chosen = settings::text("do").unwrap_or_default();
        match chosen.as_str() {
            "act" => {
                unit_control::start(&incident.unit())?;
            }
            "run-changing-check" => {
                checks::run("migrate")?;
            }
            "run-harmless-check" => {
                checks::run("config")?;
            }
            "remember" => state::set("seen", "yes")?,
            "forget" => {
                state::remove("seen")?;
            }
            "recall" => {
                let seen = state::get("seen")?.unwrap_or_default();
                return Ok(Assessment::veto(format!(
                    "{seen} {}",
                    state::keys()?.join(" ")
                )));
            }
            "deceive" => {
                return Ok(Assessment::applies(
                    255,
                    "all is well\u{1b}[2J\r\nroot@host:~# rm -rf /\u{202e}",
                ));
            }
            "talk" => return Ok(Assessment::veto("x".repeat(512 << 10))),
            "return-too-much" => return Ok(Assessment::veto("x".repeat(8 << 20))),
            _ => {}
        }
        Ok(Assessment::applies(50, "it is down"))
    }

    fn heal(incident: &Incident<'_>) -> Result<Outcome> {
        let chosen = settings::text("do").unwrap_or_default();
        match chosen.as_str() {
            "heal" => return recovery::bring_up(incident),
            "lie" => return Ok(Outcome::healed("everything is fine, honestly")),
            "loop" => spin(),
            "eat-memory" => eat(),
            "recurse" => return Ok(Outcome::failed(recurse(1).to_string())),
            "recurse-with-large-frames" => {
                return Ok(Outcome::failed(recurse_with_large_frames(1).to_string()));
            }
            "huge-string" => info!("{}", "x".repeat(2 << 20)),
            "call-politely" => loop {
                units::get(&incident.unit())?;
                resources::load()?;
            },
            "measure-for-ever" => loop {
                metrics::latest("host", "load-milli")?;
            },
            "call-for-ever" => loop {
                let _ = resources::load();
            },
            "write-for-ever" => loop {
                info!("line after line after line after line after line after line");
            },
            "ask-for-a-million-lines" => {
                let lines = logs::of(incident.unit()).tail(1_000_000)?;
                return Ok(Outcome::failed(lines.len().to_string()));
            }
            "read-for-ever" => loop {
                logs::of(incident.unit()).tail(1_000_000)?;
            },
            "hash-for-ever" => loop {
                files::sha256("big")?;
            },
            "remember-for-ever" => {
                for number in 0_u32.. {
                    state::set(&number.to_string(), "x")?;
                }
            }
            "remember-much" => state::set("much", "x".repeat(5000))?,
            "remember-oddly" => state::set("a\nb", "x")?,
            "hoard-units" => loop {
                std::mem::forget(units::get(&incident.unit())?);
            },
            "hoard-processes" => {
                let ports = incident.ports();
                let holders = ports::holders(&ports[0])?;
                loop {
                    std::mem::forget(holders[0].process());
                }
            }
            "use-and-let-go" => {
                for _ in 0..200 {
                    files::stat("big")?;
                }
            }
            "sleep" => clock::sleep(HOUR)?,
            "sleep-for-ever" => loop {
                let _ = clock::sleep(HOUR);
            },
            "panic" => panic!("the parser met a comma\nand did not like it"),
            "panic-and-lie" => {
                // Says that it panicked, goes on, and is cut off for looping.
                prunella_sdk::bindings::prunella::base::log::panicked("not really", "a.rs", 1, 1);
                spin();
            }
            "trap" => trap(),
            "divide" => return Ok(Outcome::failed((1 / black_box(0_u32)).to_string())),
            "touch-others" => {
                let codes = [
                    code(unit_control::stop("sshd.service")),
                    code(unit_control::restart("web.service; reboot")),
                    code(units::get("/etc/shadow")),
                    code(files::stat("/etc/shadow")),
                    code(files::sha256("../../etc/shadow")),
                    code(file_repair::bring_back("shadow")),
                    code(checks::run("rm -rf /")),
                    code(prunella_sdk::filesystems::below("/root")),
                ];
                return Ok(Outcome::failed(codes.join(" ")));
            }
            "fail" => {
                return Err(Failure::failed(
                    "given\u{7}-up",
                    format!("gave up\n{}", "y".repeat(100_000)),
                ));
            }
            other => return Ok(Outcome::failed(format!("there is no way `{other}`"))),
        }
        Ok(Outcome::not_applicable("done"))
    }
}

fn code<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => "allowed".to_owned(),
        Err(failure) => failure.code().unwrap_or("without-code").to_owned(),
    }
}

fn spin() {
    let mut number = 0_u64;
    loop {
        number = black_box(number.wrapping_add(1));
    }
}

fn eat() {
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![1_u8; 1 << 20]);
        black_box(&eaten);
    }
}

/// No sum or product: those would become a loop.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    recurse(depth + 1).wrapping_mul(3) ^ depth
}

/// Runs out of the part of memory that Rust keeps for large frames.
#[inline(never)]
fn recurse_with_large_frames(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse_with_large_frames(depth + 1) + frame[0]
}

#[cfg(target_family = "wasm")]
fn trap() {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_family = "wasm"))]
fn trap() {}

prunella_sdk::export!(Hostile);
