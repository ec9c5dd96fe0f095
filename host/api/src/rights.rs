//! Who may do what: the one place that decides.

use axum::http::Method;
use prunella_core::{
    UnitName,
    access::{Role, Via},
};

use crate::{Refusal, RefusalKind};

/// Who asks, as the door that they came through knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Root, or whoever the daemon runs as: may order.
    Root,
    /// May only ask.
    Reader,
    /// Has come to root's door, and is not root.
    Stranger,
    /// Has a key or a session.
    Known(Known),
    /// Has come to the web door without either.
    Nobody,
}

/// The holder of a key or a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    /// The key's name, or whose link the session is of.
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The service that a key with the role `service` is for.
    pub(crate) unit: Option<UnitName>,
    pub(crate) via: Via,
    /// What tells this key or session from all others.
    pub(crate) hash: String,
}

impl Caller {
    /// By what orders of theirs are known, where that is not an account.
    pub(crate) fn shown(&self) -> Option<String> {
        match self {
            Self::Known(known) => Some(match known.via {
                Via::Key => format!("key {}", known.name),
                Via::Session | Via::Root => format!("{}, in the browser", known.name),
            }),
            _ => None,
        }
    }

    pub(crate) fn via(&self) -> Option<Via> {
        match self {
            Self::Root => Some(Via::Root),
            Self::Known(known) => Some(known.via),
            _ => None,
        }
    }
}

/// What an address asks of whoever comes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: no key, and no session.
    Anyone,
    /// To have come by a session.
    Session,
    /// To read, or to be the service that the address names.
    ReadOwn,
    /// To read everything.
    Read,
    /// To order what operators order.
    Operate,
    /// To be root.
    Root,
}

/// What an address needs, by the router's pattern. What is not listed only root may order,
/// and every reader may read.
pub(crate) fn need(method: &Method, pattern: &str) -> Need {
    let pattern = pattern.strip_prefix("/api/v1").unwrap_or(match pattern {
        "/health" => "/alive",
        other => other,
    });
    match (method.as_str(), pattern) {
        ("GET" | "HEAD", "/alive" | "/openapi.json") | ("POST", "/sessions") => Need::Anyone,
        ("GET" | "HEAD" | "DELETE", "/sessions/current") => Need::Session,
        ("GET" | "HEAD", "/keys") => Need::Root,
        ("GET" | "HEAD", "/services/{unit}" | "/health/{subject}") => Need::ReadOwn,
        ("GET" | "HEAD", _) => Need::Read,
        (
            "POST",
            "/services/{unit}/heal"
            | "/approvals/{id}/decision"
            | "/incidents/{id}/undo"
            | "/pauses"
            | "/expected-work"
            | "/alerts/retry"
            | "/alerts/{id}/retry",
        )
        | ("DELETE", "/pauses" | "/pauses/{unit}" | "/expected-work/{unit}") => Need::Operate,
        _ => Need::Root,
    }
}

/// Whether this caller may do that; `named` is the unit that the address names.
///
/// # Errors
/// Why not, and what to do about it.
pub(crate) fn may(caller: &Caller, need: Need, named: Option<&str>) -> Result<(), Refusal> {
    let not_allowed = |why: String| Refusal::new(RefusalKind::NotAllowed, why);
    match (caller, need) {
        (Caller::Stranger, _) => Err(not_allowed(
            "only root may use the control socket".to_owned(),
        )
        .help("use sudo, or ask the status socket, which only reads")),
        (_, Need::Anyone) => Ok(()),
        (Caller::Known(known), Need::Session) if known.via == Via::Session => Ok(()),
        (Caller::Nobody, _) => Err(unauthorized("a key or a session is needed")),
        (_, Need::Session) => Err(not_allowed("there is no session".to_owned())
            .help("this address is for browsers that have logged in")),
        (Caller::Root, _) => Ok(()),
        (Caller::Reader, Need::Read | Need::ReadOwn) => Ok(()),
        (Caller::Reader, Need::Operate | Need::Root) => Err(not_allowed(
            "the status socket answers reading requests only".to_owned(),
        )
        .help("ask as root on the control socket")),
        (Caller::Known(known), _) => known.may(need, named).map_err(not_allowed),
    }
}

impl Known {
    fn may(&self, need: Need, named: Option<&str>) -> Result<(), String> {
        let own = self.unit.as_ref().map(UnitName::as_str);
        match (self.role, need) {
            (Role::Viewer | Role::Operator, Need::Read | Need::ReadOwn) => Ok(()),
            (Role::Operator, Need::Operate) => Ok(()),
            (Role::Service, Need::ReadOwn) if own.is_some() && own == named => Ok(()),
            (_, Need::Root) => Err(
                "this is for root alone, on the host: no key and no session may do it".to_owned(),
            ),
            (Role::Service, _) => Err(format!(
                "a key of {} may ask for the health of that service alone",
                own.unwrap_or("no service")
            )),
            (Role::Viewer, _) => Err("a viewer may read, and order nothing".to_owned()),
            (Role::Operator, Need::Session | Need::Anyone) => Err("there is no session".to_owned()),
        }
    }
}

/// For whoever is not known.
pub(crate) fn unauthorized(why: &str) -> Refusal {
    Refusal::new(RefusalKind::Unauthorized, why).help(
        "send a key in `X-API-Key` or `Authorization: Bearer`; root makes one with `prunella key \
         add`, and a link for browsers with `prunella web login`",
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn known(role: Role, via: Via) -> Caller {
        Caller::Known(Known {
            name: "k".into(),
            role,
            unit: (role == Role::Service).then(|| UnitName::new("a.service").unwrap()),
            via,
            hash: "h".into(),
        })
    }

    const READ: (&str, &str) = ("GET", "/api/v1/incidents/{id}");
    const OWN: (&str, &str) = ("GET", "/api/v1/services/{unit}");
    const HEAL: (&str, &str) = ("POST", "/api/v1/services/{unit}/heal");
    const RELOAD: (&str, &str) = ("POST", "/api/v1/reload");
    const KEYS: (&str, &str) = ("GET", "/api/v1/keys");
    const SESSION: (&str, &str) = ("DELETE", "/api/v1/sessions/current");
    const ALIVE: (&str, &str) = ("GET", "/health");

    #[rstest]
    #[case::root(Caller::Root, &[READ, OWN, HEAL, RELOAD, KEYS, ALIVE])]
    #[case::reader(Caller::Reader, &[READ, OWN, ALIVE])]
    #[case::stranger(Caller::Stranger, &[])]
    #[case::nobody(Caller::Nobody, &[ALIVE])]
    #[case::viewer(known(Role::Viewer, Via::Key), &[READ, OWN, ALIVE])]
    #[case::operator(known(Role::Operator, Via::Key), &[READ, OWN, HEAL, ALIVE])]
    #[case::service(known(Role::Service, Via::Key), &[OWN, ALIVE])]
    #[case::viewer_in_a_browser(known(Role::Viewer, Via::Session), &[READ, OWN, SESSION, ALIVE])]
    #[case::browser(known(Role::Operator, Via::Session), &[READ, OWN, HEAL, SESSION, ALIVE])]
    fn rights(#[case] caller: Caller, #[case] allowed: &[(&str, &str)]) {
        for address in [READ, OWN, HEAL, RELOAD, KEYS, SESSION, ALIVE] {
            let need = need(&address.0.parse().unwrap(), address.1);
            assert_eq!(
                may(&caller, need, Some("a.service")).is_ok(),
                allowed.contains(&address),
                "{caller:?} {address:?}"
            );
        }
    }

    #[test]
    fn a_service_has_nothing_to_do_with_others() {
        let service = known(Role::Service, Via::Key);
        assert!(may(&service, Need::ReadOwn, Some("b.service")).is_err());
        assert!(may(&service, Need::ReadOwn, None).is_err());
    }

    #[test]
    fn what_nobody_thought_of_is_for_root() {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            assert_eq!(need(&method, "/api/v1/new"), Need::Root);
        }
        assert_eq!(need(&Method::POST, "/api/v1/keys/{name}"), Need::Root);
        assert_eq!(need(&Method::POST, "/api/v1/login-links"), Need::Root);
    }
}
