//! What this process costs.

use std::fs;

/// What proc_pid_stat(5) tells of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct OwnCost {
    /// Processor time of all its threads, in seconds.
    pub(super) cpu_seconds: f64,
    /// Memory that is resident, in bytes.
    pub(super) resident_bytes: f64,
}

/// What this process has cost so far; nothing when that cannot be told.
pub(super) fn own_cost() -> Option<OwnCost> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let page = u32::try_from(rustix::param::page_size()).ok()?;
    let ticks = u32::try_from(rustix::param::clock_ticks_per_second()).ok()?;
    of(&stat, f64::from(ticks), f64::from(page))
}

fn of(stat: &str, ticks: f64, page: f64) -> Option<OwnCost> {
    // The name before may have blanks and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let field = |number: usize| {
        // The first one after the name is the third of all.
        let field = fields.split_whitespace().nth(number - 3)?;
        field.parse::<f64>().ok()
    };
    Some(OwnCost {
        cpu_seconds: (field(14)? + field(15)?) / ticks,
        resident_bytes: field(24)? * page,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_may_be_anything() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 9 0 0 0 150 50 0 0 20 0 9 0 99 1000 25 0";
        let expected = OwnCost {
            cpu_seconds: 2.0,
            resident_bytes: 102_400.0,
        };
        assert_eq!(of(stat, 100.0, 4_096.0), Some(expected));
        assert_eq!(of("7 (a", 100.0, 4_096.0), None);
    }

    #[test]
    fn this_process_costs_something() {
        assert!(own_cost().unwrap().resident_bytes > 0.0);
    }
}
