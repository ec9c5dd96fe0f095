"""Starts a service again when its cache is there, and holds everybody back
until it is: a start without it would only fail again.

`wit_world` is made of `wit/plugin.wit` when the component is built. To have it
for your editor: `componentize-py -d wit -w plugin bindings build/bindings`.
"""

from panics import told
from wit_world import exports
from wit_world.imports import files, log, settings, unit_control, units
from wit_world.imports.log import Level
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

# As long as systemd itself gives a start.
TIMEOUT = 90_000  # milliseconds


class Strategy(exports.Strategy):
    """A call of the host that is refused or fails raises
    `componentize_py_types.Err`. What is not caught ends the call, and the
    operator reads why."""

    @told
    def describe(self) -> Description:
        return Description(
            name="{{name}}",
            version="0.1.0",
            author="",
            summary="Starts a service again when its cache is there, "
            "and holds everybody back until it is.",
            treats=[],  # failures
            settings=[
                Setting(
                    name="file",
                    kind="text",
                    required=False,
                    default="cache",
                    help="The declared file that has to be there.",
                )
            ],
        )

    @told
    def assess(self, incident) -> Assessment:
        unit, name = incident.unit(), file()
        if name not in incident.files():
            return Assessment_NotApplicable(f"no file `{name}` is declared for {unit}")
        with files.stat(name) as cache:
            if not cache.exists():
                return Assessment_Veto(
                    f"`{name}` is not there, and {unit} would only fail again without it"
                )
        return Assessment_Applies(
            Applies(60, f"`{name}` is there, and {unit} has failed ({incident.cause()})")
        )

    @told
    def heal(self, incident) -> Outcome:
        unit = incident.unit()
        log.write(Level.INFO, f"`{file()}` is there: bringing {unit} up")
        with units.get(unit) as now:
            act = unit_control.restart if now.is_up() else unit_control.start
        with act(unit) as job:
            ended = job.wait(TIMEOUT)
        if ended != "done":
            return Outcome_Failed(f"systemd ended the start of {unit} with `{ended}`")
        with units.wait(unit, Goal.UP, TIMEOUT) as now:
            return Outcome_Healed(f"started {unit}: it is {now.sub_state()}")


def file() -> str:
    """The operator's name for the cache."""
    return settings.get("file") or "cache"
