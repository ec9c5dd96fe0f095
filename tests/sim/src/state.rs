//! What strategies keep between incidents.

use prunella_core::{
    Failure, StrategyName,
    capability::{Answer, State},
    state::Others,
};

use crate::{
    Sim,
    world::{World, lock},
};

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
}

impl State for Sim {
    fn get(&self, strategy: &StrategyName, key: &str) -> Answer<Option<String>> {
        let world = lock(&self.world);
        world.keeps()?;
        let place = (strategy.clone(), key.to_owned());
        Ok(world.state.get(&place).cloned())
    }

    fn set(&self, strategy: &StrategyName, key: &str, value: &str) -> Answer<()> {
        let mut world = lock(&self.world);
        world.keeps()?;
        Others::of(world.kept_by(strategy), key).have_room_for(key, value)?;
        let place = (strategy.clone(), key.to_owned());
        world.state.insert(place, value.to_owned());
        Ok(())
    }

    fn remove(&self, strategy: &StrategyName, key: &str) -> Answer<bool> {
        let mut world = lock(&self.world);
        world.keeps()?;
        let place = (strategy.clone(), key.to_owned());
        Ok(world.state.remove(&place).is_some())
    }

    fn keys(&self, strategy: &StrategyName) -> Answer<Vec<String>> {
        let world = lock(&self.world);
        world.keeps()?;
        Ok(world
            .kept_by(strategy)
            .map(|(key, _)| key.to_owned())
            .collect())
    }
}
