//! What strategies keep between incidents.

use prunella_core::{
    Failure, StrategyName,
    capability::{
        Answer,
        state::{Get, Keys, Remove, Set},
    },
    state::Others,
};

use crate::world::World;

impl World {
    /// What a strategy keeps, by key.
    fn kept_by<'a>(
        &'a self,
        strategy: &'a StrategyName,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.state
            .iter()
            .filter(move |((of, _), _)| of == strategy)
            .map(|((_, key), value)| (key.as_str(), value.as_str()))
    }

    fn keeps(&self) -> Answer<()> {
        if self.keeps_nothing {
            return Err(Failure::unavailable(
                "no-store",
                "there is no store to keep it in",
            ));
        }
        Ok(())
    }

    pub(super) fn kept(&self, get: &Get) -> Answer<Option<String>> {
        self.keeps()?;
        let place = (get.strategy.clone(), get.key.clone());
        Ok(self.state.get(&place).cloned())
    }

    pub(super) fn keep(&mut self, set: &Set) -> Answer<()> {
        self.keeps()?;
        Others::of(self.kept_by(&set.strategy), &set.key).have_room_for(&set.key, &set.value)?;
        let place = (set.strategy.clone(), set.key.clone());
        self.state.insert(place, set.value.clone());
        Ok(())
    }

    pub(super) fn forget(&mut self, remove: &Remove) -> Answer<bool> {
        self.keeps()?;
        let place = (remove.strategy.clone(), remove.key.clone());
        Ok(self.state.remove(&place).is_some())
    }

    pub(super) fn kept_keys(&self, keys: &Keys) -> Answer<Vec<String>> {
        self.keeps()?;
        let kept = self.kept_by(&keys.strategy);
        Ok(kept.map(|(key, _)| key.to_owned()).collect())
    }
}
