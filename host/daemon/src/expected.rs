//! Expected work, in the store.

use prunella_api::{ExpectCall, Refusal, RefusalKind};
use prunella_config::Config;
use prunella_core::health::{ExpectedWork, Metric};
use prunella_store::Store;

use crate::clock;

/// Writes down which work is expected.
pub(crate) fn expect(
    store: &Store,
    config: &Config,
    call: &ExpectCall,
) -> Result<ExpectedWork, Refusal> {
    let unit = &call.unit;
    if !config.services.contains_key(unit) {
        let what = format!("{unit} is not in Prunella's care");
        return Err(Refusal::new(RefusalKind::NotFound, what)
            .help(format!("put it there: `sudo prunella enable {unit}`")));
    }
    if let Some(metric) = call.metrics.iter().find(|one| !one.strained_by_work()) {
        return Err(Refusal::new(
            RefusalKind::BadRequest,
            format!("`{}` is nothing that work strains", metric.as_str()),
        ));
    }
    let all = Metric::ALL.iter().copied();
    let work = ExpectedWork {
        unit: unit.clone(),
        since: clock::now(),
        until: call.until,
        reason: call.reason.clone(),
        by: call.by.clone(),
        metrics: if call.metrics.is_empty() {
            all.filter(|metric| metric.strained_by_work()).collect()
        } else {
            call.metrics.clone()
        },
    };
    store
        .expect_work(&work)
        .map_err(|error| Refusal::new(RefusalKind::Failed, crate::explained(&error)))?;
    Ok(work)
}

#[cfg(test)]
mod tests {
    use prunella_core::{UnitName, service::Service};

    use super::*;

    #[test]
    fn only_of_what_is_in_care_and_never_that_it_is_down() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("prunella.db")).unwrap();
        let unit = UnitName::new("web.service").unwrap();
        let mut call = ExpectCall {
            unit: unit.clone(),
            until: clock::now().saturating_add(std::time::Duration::from_secs(60)),
            reason: "backup".to_owned(),
            by: "me".to_owned(),
            metrics: Vec::new(),
        };
        let mut config = Config::default();
        let refused = expect(&store, &config, &call).unwrap_err();
        assert_eq!(refused.kind, RefusalKind::NotFound);
        config
            .services
            .insert(unit.clone(), Service::new(unit.clone()));
        let work = expect(&store, &config, &call).unwrap();
        assert!(work.relaxes(Metric::LatencyMs) && work.relaxes(Metric::CpuPermille));
        assert!(!work.relaxes(Metric::UnansweredInARow));
        assert!(!work.relaxes(Metric::ErrorsPermille));
        assert_eq!(store.expected_work(clock::now()).unwrap(), [work]);
        call.metrics = vec![Metric::UnansweredInARow];
        let refused = expect(&store, &config, &call).unwrap_err();
        assert_eq!(refused.kind, RefusalKind::BadRequest);
    }
}
