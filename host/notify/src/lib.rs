//! Tells people: alerts, their routes and channels, and the outbox that loses
//! none.

pub mod channel;
mod delivery;
mod message;

pub use self::{
    delivery::{Channel, Delivery},
    message::Message,
};
