//! Tells people: alerts, their routes and channels, and the outbox that loses
//! none.

mod message;

pub use self::message::Message;
