"""``tuning`` and ``tune`` of a params file: how long each entry may search, for which settings, and where.

Ranges stand beside the settings, as ``Searched`` in ``experiment.RunSettings``; ``tune`` narrows or widens
them for one entry or for all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from pipeline.errors import SettingsError
from pipeline.yaml_errors import refuse_unknown_keys, shown

MOST_TRIALS = 1000
MOST_MINUTES = 100_000


@dataclass(frozen=True)
class Searched:
    """Stands beside a setting that tuning searches: from ``low`` to ``high``.

    ``relative``, they are multiples of the entry's own value.
    """

    low: float
    high: float
    log: bool = True  # whether to search powers evenly
    relative: bool = False

    def around(self, own: float) -> "Range":
        """Return the range for an entry whose own value is ``own``; of zero, up to ``high`` / 1000."""
        if not self.relative:
            return Range(low=min(self.low, own), high=max(self.high, own), log=self.log)
        if own == 0:
            return Range(low=1e-6, high=self.high / 1000, log=self.log)
        return Range(low=own * self.low, high=own * self.high, log=self.log)


class Range(BaseModel):
    """From where to where one setting is searched; whole numbers where the setting is one."""

    model_config = ConfigDict(frozen=True)

    low: float
    high: float
    log: bool = True


class Tuning(BaseModel):
    """How long each entry of ``models`` may search: so many trials, or until so many minutes are spent."""

    model_config = ConfigDict(frozen=True)

    trials: int | None = None
    minutes: float | None = None

    @classmethod
    def of(cls, path: Path, value: Any) -> "Tuning":
        """Read ``tuning``. Raises SettingsError, in one line, for anything that is no budget."""
        example = "as tuning: {trials: 12} or tuning: {minutes: 30}"
        if not isinstance(value, dict) or not value:
            raise SettingsError(f"{path}: tuning is {shown(value)}; it must name a budget, {example}.")
        refuse_unknown_keys(path, "tuning: ", value, ("trials", "minutes"))
        if len(value) > 1:
            raise SettingsError(f"{path}: tuning: both trials and minutes are given; keep one.")
        trials: Any = value.get("trials")
        minutes: Any = value.get("minutes")
        if "trials" in value and not (type(trials) is int and 1 <= trials <= MOST_TRIALS):
            raise SettingsError(
                f"{path}: tuning: trials is {shown(trials)}; it must be a whole number from 1 to "
                f"{MOST_TRIALS:,}."
            )
        if "minutes" in value and not (type(minutes) in (int, float) and 0 < minutes <= MOST_MINUTES):
            raise SettingsError(
                f"{path}: tuning: minutes is {shown(minutes)}; it must be a number of more than 0."
            )
        return cls(trials=trials, minutes=minutes)


def ranges(
    path: Path, where: str, tune: Mapping[str, Any], searched: Mapping[str, Searched], own: Mapping[str, Any]
) -> dict[str, Range]:
    """Return what an entry searches: each ``searched`` setting, as ``tune`` changes it.

    ``own`` are the entry's settings that have an effect. ``tune`` holds [low, high] for a setting, or false
    to leave it as it is. Raises SettingsError for a range that cannot be, or where nothing is left.
    """
    refuse_unknown_keys(path, f"{where}tune: ", dict(tune), tuple(searched))
    found = {name: mark.around(own[name]) for name, mark in searched.items() if name in own}
    for name, given in tune.items():
        if given is False:
            found.pop(name, None)
        elif name in found:
            found[name] = _range(f"{path}: {where}tune: {name}", given, searched[name])
        else:
            raise SettingsError(f"{path}: {where}tune: {name} has no effect there; leave it out.")
    if not found:
        raise SettingsError(f"{path}: {where}tune leaves nothing to search; leave tuning or that entry out.")
    return found


def _range(place: str, given: Any, mark: Searched) -> Range:
    pair = isinstance(given, list) and len(given) == 2
    if not pair or any(isinstance(end, bool) or not isinstance(end, int | float) for end in given):
        raise SettingsError(f"{place} is {shown(given)}; it must be [low, high], or false to keep it.")
    low, high = map(float, given)
    if not low < high:
        raise SettingsError(f"{place} runs from {low:g} to {high:g}; the first must be the lower.")
    if mark.log and low <= 0:
        raise SettingsError(f"{place} begins at {low:g}; powers are searched, so it must be more than 0.")
    return Range(low=low, high=high, log=mark.log)
