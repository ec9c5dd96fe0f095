//! `prunella key`: keys for the API.

use prunella_api::{KeyCall, KeyOptions, account};
use prunella_core::{
    Timestamp,
    access::{KeyInfo, KeyName},
};

use crate::{
    args::{KeyAddArgs, KeyCommand, KeyListArgs, KeyRevokeArgs},
    exit::{Exit, Problem},
    output::{self, BAD, PLAIN, QUIET, short_unit},
    paths::Paths,
    query::Prunella,
    table::{Cell, Column, Table},
    time,
};

/// Runs the command.
pub(crate) fn run(paths: &Paths, command: KeyCommand) -> anyhow::Result<Exit> {
    match command {
        KeyCommand::Add(args) => add(paths, args),
        KeyCommand::List(args) => list(paths, &args),
        KeyCommand::Revoke(args) => revoke(paths, args),
    }
}

fn add(paths: &Paths, args: KeyAddArgs) -> anyhow::Result<Exit> {
    let unit = args.service.as_deref().map(crate::unit_name).transpose()?;
    let call = KeyCall {
        name: name(args.name)?,
        options: KeyOptions {
            role: args.role.role(),
            unit,
            expires_at: args.expires.map(|span| time::now().saturating_add(span)),
            by: account::own(),
        },
    };
    let added = Prunella::new(paths).order(|orders| orders.add_key(&call))?;
    if args.json {
        output::print_json(&added)?;
        return Ok(Exit::Ok);
    }
    // Alone on the output, so that a script can take it.
    output::print(&format!("{}\n", added.key))?;
    output::remark(
        "note",
        QUIET,
        &format!(
            "this is the key {}, for {}; it is not shown again",
            added.info.name,
            holder(&added.info)
        ),
    );
    Ok(Exit::Ok)
}

fn list(paths: &Paths, args: &KeyListArgs) -> anyhow::Result<Exit> {
    let keys = Prunella::new(paths).order(|orders| orders.keys())?;
    if args.json {
        output::print_json_lines(&keys)?;
    } else {
        output::print(&table(&keys, time::now(), output::table_width()))?;
    }
    Ok(Exit::Ok)
}

fn revoke(paths: &Paths, args: KeyRevokeArgs) -> anyhow::Result<Exit> {
    let name = name(args.name)?;
    if !Prunella::new(paths).order(|orders| orders.revoke_key(&name))? {
        return Err(
            Problem::new(Exit::NotFound, format!("there is no key {name}"))
                .help("list them with `sudo prunella key list`")
                .into(),
        );
    }
    output::print(&format!("The key {name} is revoked.\n"))?;
    Ok(Exit::Ok)
}

fn name(text: String) -> Result<KeyName, Problem> {
    KeyName::new(text).map_err(|error| Problem::new(Exit::Usage, error.to_string()))
}

/// Whom it is for.
fn holder(key: &KeyInfo) -> String {
    match &key.unit {
        Some(unit) => format!("the service {unit}"),
        None => format!("the role {}", key.role),
    }
}

fn table(keys: &[KeyInfo], now: Timestamp, width: usize) -> String {
    if keys.is_empty() {
        return "There are no keys.\n".to_owned();
    }
    let mut table = Table::new(&[
        Column::fixed("NAME"),
        Column::fixed("ROLE"),
        Column::shrinks("SERVICE", 14),
        Column::fixed("LAST USED"),
        Column::fixed("EXPIRES"),
        Column::shrinks("ADDED BY", 12),
    ]);
    for key in keys {
        let unit = key
            .unit
            .as_ref()
            .map_or("", |unit| short_unit(unit.as_str()));
        let used = key
            .last_used_at
            .map_or_else(|| "never".to_owned(), |at| time::ago(at, now));
        let (expires, style) = match key.expires_at {
            None => ("never".to_owned(), QUIET),
            Some(_) if !key.holds(now) => ("over".to_owned(), BAD),
            Some(at) => (time::short(at, now), PLAIN),
        };
        table.row(vec![
            Cell::new(key.name.as_str(), PLAIN),
            Cell::new(key.role.as_str(), PLAIN),
            Cell::new(unit, PLAIN),
            Cell::new(used, PLAIN),
            Cell::new(expires, style),
            Cell::new(&key.created_by, QUIET),
        ]);
    }
    table.render(width, 0)
}

#[cfg(test)]
mod tests {
    use prunella_core::access::Role;

    use super::*;

    #[test]
    fn a_key_whose_time_is_over_says_so() {
        let key = |name: &str, expires_at| KeyInfo {
            name: KeyName::new(name).unwrap(),
            role: Role::Viewer,
            unit: None,
            created_at: Timestamp::from_millis(1),
            created_by: "root (uid 0)".into(),
            expires_at,
            last_used_at: None,
        };
        let now = Timestamp::from_millis(10);
        let text = table(&[key("old", Some(now)), key("good", None)], now, 100);
        let line = |name: &str| text.lines().find(|line| line.contains(name)).unwrap();
        assert!(line("old").contains("over"), "{text}");
        assert!(line("good").contains("never"), "{text}");
        assert!(table(&[], now, 100).contains("no keys"));
    }
}
