//! Looks at all files together: what one names and another declares.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use prunella_core::{
    ChannelName, StrategyName, UnitName, glob,
    policy::{BUILTIN_STRATEGIES, builtin_needs},
    remedy::Remedy,
    service::{Port, Service},
};

use super::{
    Config, NamedStrategy,
    diagnostic::{Diagnostic, Place},
    load::Loader,
    main_file::Places,
    service_file::Parsed,
    value,
};

/// The strategies of a service that lists none: of those that act on declared remedies, the
/// ones that have something to act on.
fn by_default(config: &Config, service: &Service) -> Vec<StrategyName> {
    let declares = |kind: &&str| {
        let mut remedies = service.remedies.values();
        remedies.any(|remedy| remedy.kind() == *kind)
    };
    let defaults = config.defaults.strategies.iter();
    defaults
        .filter(|name| {
            let needs = builtin_needs(name.as_str());
            needs.is_empty() || needs.iter().any(declares)
        })
        .cloned()
        .collect()
}

impl Loader<'_> {
    pub(super) fn check_together(
        &mut self,
        config: &mut Config,
        services: Vec<(PathBuf, Parsed)>,
        places: &Places,
    ) {
        for (strategy, place) in &places.strategies {
            self.check_strategy(config, strategy, Path::new("prunella.toml"), place);
        }
        let mut first: BTreeMap<UnitName, (PathBuf, usize)> = BTreeMap::new();
        let mut sound: Vec<(PathBuf, Parsed)> = Vec::new();
        for (name, mut parsed) in services {
            let unit = parsed.service.unit.clone();
            if let Some((other, line)) = first.get(&unit) {
                self.found.push(
                    at(&name, &parsed.unit_at, format!("{unit} is declared twice")).help(format!(
                        "the first is {}:{line}; remove one",
                        other.display()
                    )),
                );
                continue;
            }
            first.insert(unit, (name.clone(), parsed.unit_at.line));
            if !parsed.own_strategies {
                parsed.service.strategies = by_default(config, &parsed.service);
            }
            sound.push((name, parsed));
        }
        for (name, parsed) in &sound {
            for (need, place) in &parsed.depends_on_at {
                if !first.contains_key(need) {
                    self.found.push(
                        at(name, place, format!("{need} is not in Prunella's care"))
                            .help(format!(
                                "when it is down, this service is not started against it and people are told; `prunella enable {need}` would have it healed"
                            ))
                            .warning(),
                    );
                }
            }
        }
        for (name, parsed) in &sound {
            for (strategy, place) in &parsed.heal_degraded_at {
                self.check_strategy(config, strategy, name, place);
                config.heal_degraded_at.push(NamedStrategy {
                    strategy: strategy.clone(),
                    file: name.clone(),
                    place: place.clone(),
                });
            }
        }
        self.check_ports(&sound);
        self.check_remedies(config, &sound);
        self.check_cycles(&sound);
        self.check_channels(config, &sound, places);
        self.check_patterns(&sound, places);
        config.services = sound
            .into_iter()
            .map(|(_, parsed)| (parsed.service.unit.clone(), parsed.service))
            .collect();
    }

    /// Units that a remedy would act on and that nobody may, or that matter as much.
    fn check_remedies(&mut self, config: &Config, services: &[(PathBuf, Parsed)]) {
        let protected = config.protected();
        let critical: BTreeSet<&UnitName> = services
            .iter()
            .filter(|(_, parsed)| parsed.service.critical)
            .map(|(_, parsed)| &parsed.service.unit)
            .collect();
        for (file, parsed) in services {
            for (name, place) in &parsed.remedies_at {
                let Some(remedy) = parsed.service.remedies.get(name) else {
                    continue;
                };
                let makes_way = matches!(remedy, Remedy::Offender(_));
                for unit in remedy.units() {
                    let (why, help) = if protected.covers(unit) {
                        (
                            "is protected: nothing acts on it",
                            "name another unit, or take it off under `[protect]`",
                        )
                    } else if makes_way && critical.contains(unit) {
                        (
                            "is critical by its own file: it does not make way",
                            "name a unit that matters less",
                        )
                    } else {
                        continue;
                    };
                    let message = format!("`{name}` acts on {unit}, which {why}");
                    self.found.push(at(file, place, message).help(help));
                }
            }
        }
    }

    /// Ports that two services declare: one of them never gets it.
    fn check_ports(&mut self, services: &[(PathBuf, Parsed)]) {
        let mut first: Vec<(&UnitName, &Port)> = Vec::new();
        for (file, parsed) in services {
            let unit = &parsed.service.unit;
            for (port, place) in &parsed.ports_at {
                match first.iter().find(|(_, other)| collide(port, other)) {
                    Some((other, _)) if *other != unit => self.found.push(
                        at(file, place, format!("{other} declares {port}, too"))
                            .help(
                                "one service can hold it: correct the port, or write the \
                                 addresses, such as \"tcp/127.0.0.1:80\"",
                            )
                            .warning(),
                    ),
                    _ => first.push((unit, port)),
                }
            }
        }
    }

    /// Channels that are named and not there, and those that are there and not
    /// named.
    fn check_channels(&mut self, config: &Config, services: &[(PathBuf, Parsed)], places: &Places) {
        let main = Path::new("prunella.toml");
        let of_services = services.iter().flat_map(|(file, parsed)| {
            parsed
                .channels_at
                .iter()
                .map(move |named| (file.as_path(), named))
        });
        let mut used: BTreeSet<&ChannelName> = BTreeSet::new();
        for (file, named) in places
            .alerts
            .channels
            .iter()
            .map(|named| (main, named))
            .chain(of_services)
        {
            let channel = &named.channel;
            used.insert(channel);
            // One with a mistake of its own is there all the same.
            let declared = &places.alerts.declared;
            if config.channels.contains_key(channel)
                || declared.iter().any(|named| named.channel == *channel)
            {
                continue;
            }
            let known: Vec<&str> = config.channels.keys().map(ChannelName::as_str).collect();
            let help = if known.is_empty() {
                format!(
                    "no channel is configured yet: a [channel.{channel}] in prunella.toml says how to reach people"
                )
            } else {
                let list = known.join(", ");
                match value::nearest(channel.as_str(), known) {
                    Some(meant) => format!("did you mean `{meant}`? There are: {list}"),
                    None => format!("there are: {list}; or add a [channel.{channel}]"),
                }
            };
            self.found.push(
                at(
                    file,
                    &named.place,
                    format!("there is no channel `{channel}`"),
                )
                .help(help),
            );
        }
        for named in &places.alerts.declared {
            let channel = &named.channel;
            // With nothing in care there is nothing to hear of yet.
            if !used.contains(channel) && !services.is_empty() {
                self.found.push(
                    at(
                        main,
                        &named.place,
                        format!("nobody hears of anything by `{channel}`"),
                    )
                    .help(format!(
                        "name it under [alerts], such as `escalation = [\"{channel}\"]`"
                    ))
                    .warning(),
                );
            }
        }
    }

    /// A route for a service that is not there is a slip of the pen, or of the
    /// past.
    fn check_patterns(&mut self, services: &[(PathBuf, Parsed)], places: &Places) {
        for (pattern, place) in &places.alerts.patterns {
            let fits = |parsed: &Parsed| glob::matches(pattern, parsed.service.unit.as_str());
            if !services.iter().any(|(_, parsed)| fits(parsed)) {
                self.found.push(
                    at(
                        Path::new("prunella.toml"),
                        place,
                        format!("no service in Prunella's care is like `{pattern}`"),
                    )
                    .help(
                        "this part of the route does nothing: `prunella status` lists the services",
                    )
                    .warning(),
                );
            }
        }
    }

    pub(super) fn check_strategy(
        &mut self,
        config: &Config,
        strategy: &StrategyName,
        name: &Path,
        place: &Place,
    ) {
        if BUILTIN_STRATEGIES.contains(&strategy.as_str())
            || config.strategies.contains_key(strategy)
        {
            return;
        }
        let known: Vec<&str> = BUILTIN_STRATEGIES
            .iter()
            .copied()
            .chain(config.strategies.keys().map(StrategyName::as_str))
            .collect();
        let list = known.join(", ");
        let help = match value::nearest(strategy.as_str(), known) {
            Some(meant) => format!("did you mean `{meant}`? There are: {list}"),
            None => format!(
                "there are: {list}; a component of your own is installed by `prunella plugin add`"
            ),
        };
        self.found
            .push(at(name, place, format!("there is no strategy `{strategy}`")).help(help));
    }

    /// Notes each cycle in `depends-on` once, at the service that comes first.
    fn check_cycles(&mut self, services: &[(PathBuf, Parsed)]) {
        let by_unit: BTreeMap<&UnitName, &(PathBuf, Parsed)> = services
            .iter()
            .map(|service| (&service.1.service.unit, service))
            .collect();
        let mut done: Vec<&UnitName> = Vec::new();
        for start in by_unit.keys().copied() {
            let Some(cycle) = cycle_through(start, &by_unit) else {
                continue;
            };
            if cycle.iter().any(|unit| done.contains(unit)) {
                continue;
            }
            done.extend(&cycle);
            let mut shown: Vec<&str> = cycle.iter().map(|unit| unit.as_str()).collect();
            shown.push(start.as_str());
            let second = cycle.get(1).copied().unwrap_or(start);
            if let Some((name, parsed)) = by_unit.get(start)
                && let Some(place) = parsed.depends_on_at.get(second)
            {
                let message = if cycle.len() == 1 {
                    format!("{start} needs itself")
                } else {
                    format!("a cycle in `depends-on`: {}", shown.join(" → "))
                };
                self.found
                    .push(at(name, place, message).help(
                        "none of them could ever be healed first: take one `depends-on` out",
                    ));
            }
        }
    }
}

/// The shortest way along `depends-on` from `start` back to it.
fn cycle_through<'a>(
    start: &'a UnitName,
    by_unit: &BTreeMap<&'a UnitName, &'a (PathBuf, Parsed)>,
) -> Option<Vec<&'a UnitName>> {
    let mut came_from: BTreeMap<&UnitName, &UnitName> = BTreeMap::new();
    let mut waiting = std::collections::VecDeque::from([start]);
    while let Some(unit) = waiting.pop_front() {
        let Some((_, parsed)) = by_unit.get(unit) else {
            continue;
        };
        for need in &parsed.service.depends_on {
            if need == start {
                let mut way = vec![unit];
                let mut step = unit;
                while let Some(before) = came_from.get(step) {
                    way.push(before);
                    step = before;
                }
                way.reverse();
                return Some(way);
            }
            if let Some((need, _)) = by_unit.get_key_value(need)
                && !came_from.contains_key(*need)
            {
                came_from.insert(need, unit);
                waiting.push_back(need);
            }
        }
    }
    None
}

/// Whether two services cannot both hold these ports.
fn collide(one: &Port, other: &Port) -> bool {
    let same_address = match (one.address, other.address) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    one.protocol == other.protocol && one.number == other.number && same_address
}

fn at(file: &Path, place: &Place, message: String) -> Diagnostic {
    Diagnostic {
        place: Some(place.clone()),
        ..Diagnostic::about_file(file, message)
    }
}
