//! Keys of the web door, in the store.

use prunella_api::{AddedKey, Answer, KeyCall, Refusal, RefusalKind, secret};
use prunella_config::Config;
use prunella_core::access::{KeyInfo, KeyName, Role};
use prunella_store::{Store, StoreError};

use crate::clock;

/// The longest name of whoever added one, in characters.
const BY_MAX: usize = 200;

fn failed(error: StoreError) -> Refusal {
    Refusal::new(RefusalKind::Failed, crate::explained(&error))
}

/// Adds a key. It is told here, and never again.
pub(crate) fn add(store: &Store, config: &Config, call: &KeyCall) -> Answer<AddedKey> {
    let now = clock::now();
    let KeyCall { name, options } = call;
    check(config, call)?;
    if options.expires_at.is_some_and(|end| end <= now) {
        return Err(Refusal::new(
            RefusalKind::BadRequest,
            "the time of the key would be over already",
        )
        .into());
    }
    let key = secret::key().map_err(|error| {
        Refusal::new(
            RefusalKind::Failed,
            format!("the kernel gives no random numbers: {error}"),
        )
    })?;
    let info = KeyInfo {
        name: name.clone(),
        role: options.role,
        unit: options.unit.clone(),
        created_at: now,
        created_by: prunella_core::text::one_line(&options.by, BY_MAX),
        expires_at: options.expires_at,
        last_used_at: None,
    };
    if !store.add_key(&info, &secret::hash(&key)).map_err(failed)? {
        return Err(Refusal::new(
            RefusalKind::Conflict,
            format!("there is a key `{name}` already"),
        )
        .help(format!(
            "take another name, or revoke that one first: `prunella key revoke {name}`"
        ))
        .into());
    }
    Ok(AddedKey { key, info })
}

/// Whether role and unit belong together.
fn check(config: &Config, call: &KeyCall) -> Result<(), Refusal> {
    let bad = |why: String| Refusal::new(RefusalKind::BadRequest, why);
    match (call.options.role, &call.options.unit) {
        (Role::Service, None) => Err(bad("a key of a service needs its unit".to_owned())
            .help("name it with `--service UNIT`")),
        (Role::Service, Some(unit)) if !config.services.contains_key(unit) => Err(Refusal::new(
            RefusalKind::NotFound,
            format!("{unit} is not in Prunella's care"),
        )
        .help(format!("put it there: `sudo prunella enable {unit}`"))),
        (Role::Viewer | Role::Operator, Some(_)) => Err(bad(format!(
            "only a key with the role service is for one unit, and this is for the role {}",
            call.options.role
        ))),
        _ => Ok(()),
    }
}

/// Revokes a key: the next request with it is refused.
pub(crate) fn revoke(store: &Store, name: &KeyName) -> Answer<bool> {
    Ok(store.revoke_key(name).map_err(failed)?)
}

#[cfg(test)]
mod tests {
    use prunella_api::{ApiError, KeyOptions};
    use prunella_core::{UnitName, service::Service};

    use super::*;

    fn call(name: &str, role: Role, unit: Option<&str>) -> KeyCall {
        KeyCall {
            name: KeyName::new(name).unwrap(),
            options: KeyOptions {
                role,
                unit: unit.map(|unit| UnitName::new(unit).unwrap()),
                expires_at: None,
                by: "me".into(),
            },
        }
    }

    fn kind(answer: Answer<AddedKey>) -> RefusalKind {
        match answer {
            Err(ApiError::Refused(refusal)) => refusal.kind,
            other => unreachable!("it is refused, not {other:?}"),
        }
    }

    #[test]
    fn a_key_is_told_once_and_only_its_hash_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("prunella.db")).unwrap();
        let mut config = Config::default();
        let viewer = call("grafana", Role::Viewer, None);
        let added = add(&store, &config, &viewer).unwrap();
        let hash = secret::hash(&added.key);
        assert_eq!(store.key_of(&hash).unwrap(), Some(added.info));
        assert_eq!(kind(add(&store, &config, &viewer)), RefusalKind::Conflict);

        let of_nothing = call("a", Role::Service, None);
        assert_eq!(
            kind(add(&store, &config, &of_nothing)),
            RefusalKind::BadRequest
        );
        let operator = call("a", Role::Operator, Some("a.service"));
        assert_eq!(
            kind(add(&store, &config, &operator)),
            RefusalKind::BadRequest
        );
        let service = call("a", Role::Service, Some("a.service"));
        assert_eq!(kind(add(&store, &config, &service)), RefusalKind::NotFound);
        let unit = UnitName::new("a.service").unwrap();
        config.services.insert(unit.clone(), Service::new(unit));
        assert!(add(&store, &config, &service).is_ok());

        let mut late = call("late", Role::Viewer, None);
        late.options.expires_at = Some(clock::now());
        assert_eq!(kind(add(&store, &config, &late)), RefusalKind::BadRequest);
        let names: Vec<String> = store
            .keys()
            .unwrap()
            .into_iter()
            .map(|key| key.name.to_string())
            .collect();
        assert_eq!(names, ["a", "grafana"]);
        assert!(revoke(&store, &viewer.name).unwrap());
        assert_eq!(store.key_of(&hash).unwrap(), None);
    }
}
