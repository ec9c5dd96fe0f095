"""When a service says that its database's schema is too old, runs the declared
check that migrates it, and starts the service again.

What the journal says is only a hint, since anybody can write there: nothing is done
before the check `schema`, which changes nothing, has confirmed it.
"""

import re

from componentize_py_types import Err
from panics import told
from wit_world import exports
from wit_world.imports import checks, log, logs, settings, unit_control, units
from wit_world.imports.log import Level
from wit_world.imports.prunella_base_types import FailureKind
from wit_world.imports.prunella_strategy_types import (
    Applies,
    Assessment,
    Assessment_Applies,
    Assessment_Veto,
    Assessment_NotApplicable,
    Description,
    Outcome,
    Outcome_Failed,
    Outcome_Healed,
    Setting,
)
from wit_world.imports.units import Goal

TIMEOUT = 90_000  # milliseconds
LINES = 50

# As Django, Rails, Alembic and PostgreSQL put it.
HINTS = re.compile(
    r"unapplied migration|migrations are pending|pending migration"
    r"|not up to date|(relation|column|table) \S+ does not exist|no such (table|column)",
    re.IGNORECASE,
)

SETTINGS = {
    "schema": ("schema", "The declared check that passes when the schema is up to date."),
    "migrate": ("migrate", "The declared check, with `changes = true`, that brings it there."),
}


class Strategy(exports.Strategy):
    @told
    def describe(self) -> Description:
        return Description(
            name="pending-migration",
            version="0.1.0",
            author="",
            summary="Migrates a database whose schema is too old for its service, "
            "and starts the service.",
            treats=[],  # failures
            settings=[
                Setting(name, "text", required=False, default=default, help=text)
                for name, (default, text) in SETTINGS.items()
            ],
        )

    @told
    def assess(self, incident) -> Assessment:
        unit, schema, migrate = incident.unit(), setting("schema"), setting("migrate")
        if schema not in incident.checks():
            return Assessment_NotApplicable(f"no check `{schema}` is declared for {unit}")
        hint = complaint(unit, incident.invocation())
        if hint is None:
            return Assessment_NotApplicable(f"{unit} has said nothing of a schema")
        report = checks.run(schema)
        if report.passed:
            return Assessment_NotApplicable(f"{unit} said «{hint}», but `{schema}` passes")
        if migrate not in incident.checks():
            return Assessment_Veto(
                f"the schema is too old (`{schema}` does not pass), and no check `{migrate}` "
                "is declared that would migrate it"
            )
        return Assessment_Applies(
            Applies(80, f"the schema is too old: `{schema}` does not pass, and {unit} said «{hint}»")
        )

    @told
    def heal(self, incident) -> Outcome:
        unit, schema, migrate = incident.unit(), setting("schema"), setting("migrate")
        report = checks.run(migrate)
        if not report.passed:
            return Outcome_Failed(f"`{migrate}` did not pass: {last_line(report.output)}")
        if not checks.run(schema).passed:
            return Outcome_Failed(f"`{migrate}` passed, and `{schema}` still does not")
        log.write(Level.INFO, f"the schema is up to date: starting {unit}")
        try:
            with unit_control.start(unit) as job:
                ended = job.wait(TIMEOUT)
        except Err as error:
            if error.value.kind != FailureKind.TIMED_OUT:
                raise
            return Outcome_Failed(f"{unit} is migrated, and its start takes too long")
        if ended != "done":
            return Outcome_Failed(f"systemd ended the start of {unit} with `{ended}`")
        with units.wait(unit, Goal.UP, TIMEOUT) as now:
            return Outcome_Healed(
                f"migrated its database and started {unit}: it is {now.sub_state()}"
            )


def setting(name: str) -> str:
    default, _ = SETTINGS[name]
    return settings.get(name) or default


def complaint(unit: str, invocation: str | None) -> str | None:
    """What the failed run said of a schema, last of all."""
    entries = logs.tail(unit, invocation, None, LINES)
    said = (entry.message for entry in reversed(entries))
    return next((message for message in said if HINTS.search(message)), None)


def last_line(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[-1] if lines else "it says nothing"
