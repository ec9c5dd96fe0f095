//! What a strategy gives to a call, made into the host's own words.
//!
//! The same checks and the same sentences for every version of the contract, and
//! for the simulated host that authors test against.

use std::time::Duration;

use crate::{
    Failure, UnitName,
    capability::{
        Act, Described, Description, PressureOf, Protocol, Subject, Time, metrics::LONGEST_SPAN,
    },
    duration::written,
    health::{self, Metric},
    service::Service,
    text::one_line,
};

/// The longest name shown in a failure, in characters.
const NAME: usize = 80;

/// A unit's full name.
///
/// # Errors
/// `invalid` with the code `not-a-unit-name`.
pub fn unit_name(name: &str) -> Result<UnitName, Failure> {
    // Not the error's own words: they repeat the name, whatever is in it.
    UnitName::new(name).map_err(|_| {
        Failure::invalid(
            "not-a-unit-name",
            format!(
                "`{}` is not the full name of a unit, such as `nginx.service`",
                one_line(name, NAME)
            ),
        )
    })
}

/// `tcp` or `udp`.
///
/// # Errors
/// `invalid` with the code `not-a-protocol`.
pub fn protocol(word: &str) -> Result<Protocol, Failure> {
    match word {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        other => Err(not_a("protocol", other, "`tcp` and `udp`")),
    }
}

/// An act on a declared remedy, such as `set-aside.run`.
///
/// # Errors
/// `invalid` with the code `not-a-remedy`.
pub fn remedy_act(name: &str) -> Result<Act, Failure> {
    let act = Act::named(name).filter(|act| act.is_remedy());
    act.ok_or_else(|| {
        let known: Vec<&str> = Act::ALL
            .into_iter()
            .filter(|act| act.is_remedy())
            .map(Act::name)
            .collect();
        Failure::invalid(
            "not-a-remedy",
            format!(
                "`{}` is no act on a declared remedy; there are: {}",
                one_line(name, NAME),
                known.join(", ")
            ),
        )
    })
}

/// `cpu`, `memory` or `io`.
///
/// # Errors
/// `invalid` with the code `not-a-pressure`.
pub fn pressure(word: &str) -> Result<PressureOf, Failure> {
    match word {
        "cpu" => Ok(PressureOf::Cpu),
        "memory" => Ok(PressureOf::Memory),
        "io" => Ok(PressureOf::Io),
        other => Err(not_a("pressure", other, "`cpu`, `memory` and `io`")),
    }
}

/// What is measured: the full name of a unit, or `host`.
///
/// # Errors
/// `invalid` with the code `not-a-unit-name`.
pub fn subject(word: &str) -> Result<health::Subject, Failure> {
    if word == health::Subject::HOST {
        return Ok(health::Subject::Host);
    }
    unit_name(word).map(health::Subject::Unit)
}

/// A metric, by its name.
///
/// # Errors
/// `invalid` with the code `not-a-metric`.
pub fn metric(word: &str) -> Result<Metric, Failure> {
    Metric::from_word(word).ok_or_else(|| {
        let all: Vec<&str> = Metric::ALL.iter().map(|metric| metric.as_str()).collect();
        not_a("metric", word, &all.join(", "))
    })
}

/// A span of time until now, in milliseconds.
///
/// # Errors
/// `invalid` with the code `span-out-of-range`.
pub fn span(milliseconds: u64) -> Result<Duration, Failure> {
    let span = Duration::from_millis(milliseconds);
    if span.is_zero() || span > LONGEST_SPAN {
        return Err(Failure::invalid(
            "span-out-of-range",
            format!(
                "a span is longer than nothing, and no longer than {}",
                written(LONGEST_SPAN)
            ),
        ));
    }
    Ok(span)
}

/// A run's invocation id.
///
/// # Errors
/// `invalid` with the code `not-an-invocation`.
pub fn invocation(id: String) -> Result<String, Failure> {
    if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(id)
    } else {
        Err(Failure::invalid(
            "not-an-invocation",
            "an invocation id is 32 hexadecimal digits",
        ))
    }
}

/// Whether it is the time for a call, and whether the operator declared what it
/// names. What changes nothing is in order while a strategy assesses; so is a check
/// that the operator declared to change nothing.
///
/// # Errors
/// `denied` with the code `not-in-assess`, or `not-found` with `not-declared`.
pub fn in_order(
    call: &mut impl Described,
    healing: bool,
    service: &Service,
) -> Result<(), Failure> {
    let description = call.description();
    let harmless = match call.subject() {
        Subject::File(name) => {
            service.file(name)?;
            false
        }
        Subject::Check(name) => !service.check(name)?.mutates,
        Subject::Probe(name) => {
            service.probe(name)?;
            false
        }
        Subject::Place(place) => {
            if !PLACES.contains(&place) {
                service.paths_of(place)?;
            }
            false
        }
        // Whether it is declared depends on the act, which the kernel knows.
        Subject::Remedy(_)
        | Subject::Unit(_)
        | Subject::Port(..)
        | Subject::Process(_)
        | Subject::Nothing => false,
    };
    if healing {
        return Ok(());
    }
    match description {
        Description::Act(_) if harmless => Ok(()),
        Description::Act(_) => Err(not_in_assess()),
        Description::Look(look) => match look.time {
            Time::Always => Ok(()),
            Time::NotInAssess => Err(not_in_assess()),
            Time::NotKeptInAssess => Err(not_kept_in_assess()),
        },
    }
}

/// What every host has, whatever is declared.
const PLACES: [&str; 4] = ["/", "/var", "/tmp", "/run"];

fn not_a(what: &str, given: &str, known: &str) -> Failure {
    Failure::invalid(
        &format!("not-a-{what}"),
        format!("`{}` is not one of {known}", one_line(given, NAME)),
    )
}

/// Acting while it is not the time for it.
fn not_in_assess() -> Failure {
    Failure::denied(
        "not-in-assess",
        "a strategy that assesses may only look; acting is for `heal`",
    )
}

/// Changing what the strategy keeps while it is not the time for it.
fn not_kept_in_assess() -> Failure {
    Failure::denied(
        "not-in-assess",
        "a strategy that assesses may only look; what it keeps is changed in `heal`",
    )
}

/// Looking or acting where there is no host.
pub fn not_in_describe() -> Failure {
    Failure::denied(
        "not-in-describe",
        "a strategy that describes itself has no host: it may neither look nor act",
    )
}
