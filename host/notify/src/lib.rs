//! Tells people: alerts, their routes and channels, and the outbox that loses
//! none.

mod delivery;
mod message;

pub use self::{
    delivery::{Channel, Delivery},
    message::Message,
};
