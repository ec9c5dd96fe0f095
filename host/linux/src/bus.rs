//! Calls to systemd over the system bus, on a connection of their own.
//!
//! A connection is opened at the first call and again after it was lost. There
//! are no cached proxies: a call is one message and its reply.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Mutex;
use zbus::{Connection, DynamicType, Message, Variant, connection::Builder, message::Body};

use crate::error::BusError;

/// systemd's name on the bus.
pub(crate) const SYSTEMD: &str = "org.freedesktop.systemd1";
/// The manager's object.
pub(crate) const MANAGER: &str = "/org/freedesktop/systemd1";
/// The manager's interface.
pub(crate) const MANAGER_INTERFACE: &str = "org.freedesktop.systemd1.Manager";
/// The interface of every unit.
pub(crate) const UNIT_INTERFACE: &str = "org.freedesktop.systemd1.Unit";
/// The interface of a job.
pub(crate) const JOB_INTERFACE: &str = "org.freedesktop.systemd1.Job";
/// The standard interface for properties.
pub(crate) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// How long opening a connection may take. A bus that is being started accepts
/// the connection at once and answers when it is up.
const OPEN_LIMIT: Duration = Duration::from_secs(2);
/// After a failed attempt the next is not made before so long: a host without a
/// bus must not pay for an attempt at every call.
const OPEN_AGAIN: Duration = Duration::from_millis(500);

/// Opens a connection to the system bus, or to the bus at `address`.
pub(crate) async fn open(address: Option<&str>) -> Result<Connection, BusError> {
    let builder = match address {
        Some(address) => Builder::address(address),
        None => Builder::system(),
    };
    match tokio::time::timeout(OPEN_LIMIT, builder.build()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(BusError::Down(error.to_string())),
        Err(_) => Err(BusError::Down("it did not answer in time".to_owned())),
    }
}

/// The connection for calls.
pub(crate) struct Bus {
    address: Option<String>,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    connection: Option<Connection>,
    failed: Option<(Instant, BusError)>,
}

impl Bus {
    pub(crate) fn new(address: Option<String>) -> Self {
        Self {
            address,
            slot: Mutex::default(),
        }
    }

    /// The connection, opened if there is none.
    pub(crate) async fn connection(&self) -> Result<Connection, BusError> {
        let mut slot = self.slot.lock().await;
        if let Some(connection) = &slot.connection
            && !connection.is_closed()
        {
            return Ok(connection.clone());
        }
        slot.connection = None;
        if let Some((at, error)) = &slot.failed
            && at.elapsed() < OPEN_AGAIN
        {
            return Err(error.clone());
        }
        match open(self.address.as_deref()).await {
            Ok(connection) => {
                slot.failed = None;
                slot.connection = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                slot.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// One call to systemd: object path, interface, method, arguments.
    pub(crate) async fn call<B>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        arguments: &B,
    ) -> Result<Body, BusError>
    where
        B: Serialize + DynamicType,
    {
        let connection = self.connection().await?;
        let reply: Message = connection
            .call_method(Some(SYSTEMD), path, Some(interface), method, arguments)
            .await?;
        Ok(reply.body())
    }

    /// One property that is a text: object path, interface, name.
    pub(crate) async fn text(
        &self,
        path: &str,
        interface: &str,
        name: &str,
    ) -> Result<String, BusError> {
        let body = self
            .call(path, PROPERTIES, "Get", &(interface, name))
            .await?;
        match body.deserialize::<Variant<'_>>().map_err(BusError::from)? {
            Variant::Str(text) => Ok(text.as_str().to_owned()),
            _ => Err(BusError::Odd(format!("{name} is not a text"))),
        }
    }

    /// One call to systemd's manager, such as `StartUnit`.
    pub(crate) async fn manager<B>(&self, method: &str, arguments: &B) -> Result<Body, BusError>
    where
        B: Serialize + DynamicType,
    {
        self.call(MANAGER, MANAGER_INTERFACE, method, arguments)
            .await
    }
}

/// The object path of the unit named `name`. systemd loads the unit when its
/// object is asked something, so no `LoadUnit` is needed; the object of an alias
/// is the unit it stands for, but signals come from the canonical name's.
pub fn unit_path(name: &str) -> String {
    let mut path = String::with_capacity(32 + name.len() * 2);
    path.push_str("/org/freedesktop/systemd1/unit/");
    for (at, byte) in name.bytes().enumerate() {
        // systemd's bus_label_escape: a leading digit is escaped too.
        if byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit()) {
            path.push(char::from(byte));
        } else {
            path.push('_');
            for digit in [byte >> 4, byte & 15] {
                path.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("nginx.service", "nginx_2eservice")]
    #[case::instance("postgresql@15-main.service", "postgresql_4015_2dmain_2eservice")]
    #[case::leading_digit("9p.service", "_39p_2eservice")]
    #[case::backslash("dev-a\\x2db.swap", "dev_2da_5cx2db_2eswap")]
    #[case::underscore("a_b.service", "a_5fb_2eservice")]
    fn the_path_of_a_unit(#[case] name: &str, #[case] label: &str) {
        assert_eq!(
            unit_path(name),
            format!("/org/freedesktop/systemd1/unit/{label}")
        );
    }
}
