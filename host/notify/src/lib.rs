//! Tells people: alerts, their routes and channels, and the outbox that loses
//! none. Sends traces of incidents as well, where a collector wants them.

mod backoff;
pub mod channel;
mod compose;
mod delivery;
mod lock;
mod notifier;
mod plan;
mod relations;
mod traces;

pub use prunella_core::alert::Message;
pub use prunella_net::secret::wrong_with as wrong_with_secret;

pub use self::{
    delivery::{Channel, Delivery},
    notifier::{HostQueries, Notifier, NotifierSettings, Open},
    traces::{TraceSender, TraceSettings},
};
