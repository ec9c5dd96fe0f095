//! Sessions: every call that strategies made of a host, with its answer, as text
//! that people can read, and that a component can be run on again.
//!
//! A session is a file of JSON lines. A *run* is one `assess` or `heal` of one
//! strategy; since strategies assess side by side, each line has its run's
//! number:
//!
//! ```json
//! {"session":1,"recorded-by":"prunella 0.1.0"}
//! {"run":1,"begins":{"call":"heal","strategy":"service-restart","incident":{…},"service":{…}}}
//! {"run":1,"call":"units.get","with":{"unit":"web.service"},"gave":{"active_state":"failed",…}}
//! {"run":1,"call":"unit-control.stop","with":{"unit":"web.service"},"failed":{"kind":"denied",…}}
//! {"run":1,"says":"info: starting it"}
//! {"run":1,"ends":{"said":{"Healed":{"summary":"…"}}}}
//! ```
//!
//! It holds what the strategy could see, after policy, and nothing else: no path,
//! no command, no value of an environment file. Text that people or programs wrote
//! (log lines, a check's output, settings, what strategies keep) is
//! [redacted](prunella_core::text::redact) on top of that.
//!
//! The same traits of `prunella-core` are implemented twice here: around a host,
//! to record ([`Recorder`]), and on a session, to play it again ([`replay`]).

mod declared;
mod file;
mod record;
mod replay;

pub use self::{
    declared::Declared,
    file::{Begun, Ended, Entry, Line, Played, Session, SessionError},
    record::{Recorder, Recording},
    replay::{Departure, Replayed, replay},
};

use std::time::{Duration, Instant};

/// A time as the strategy gave it, in milliseconds; none when it is all that the
/// run has left, which is never twice the same.
fn asked_for(time: Duration, deadline: Instant) -> Option<u64> {
    let left = deadline.saturating_duration_since(Instant::now());
    (time < left).then(|| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
