//! Tells people: alerts, their routes and channels, and the outbox that loses
//! none.

pub mod channel;
mod delivery;

pub use prunella_core::alert::Message;

pub use self::delivery::{Channel, Delivery};
