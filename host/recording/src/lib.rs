//! Recordings: every call that strategies made of a host, with its answer, as text
//! that people can read, and that a component can be run on again.
//!
//! A recording is a file of JSON lines. A *run* is one `assess` or `heal` of one
//! strategy; since strategies assess side by side, each line has its run's
//! number:
//!
//! ```json
//! {"recording":1,"recorded-by":"prunella 0.1.0"}
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
//! There are two layers here: one around a host, to record ([`Recorder`]), and one
//! in the place of a host, to play a recording again ([`replay`]).

mod declared;
mod file;
mod recorded;
mod recorder;
mod replayer;

pub use self::{
    declared::Declared,
    file::{Begun, Ended, Entry, Line, Recording, RecordingError, ReplayedRun},
    recorder::{Recorder, RunRecorder},
    replayer::{Divergence, Replayed, replay},
};
