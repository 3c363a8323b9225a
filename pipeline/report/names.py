"""Names for models: unique, and made for tables (labels), sentences (spoken) or ids (keys)."""

from collections import Counter
from collections.abc import Callable, Sequence

from pipeline.experiment import RunSettings, own_network

MODE_WORDS = {"scratch": "from scratch", "linear_probe": "linear probe", "fine_tune": "fine-tuned"}


def labels(models: Sequence[RunSettings]) -> list[str]:
    """Return a unique label per model, with the settings that differ where name and mode do not."""
    return _unique(_label, models)


def spoken(models: Sequence[RunSettings]) -> list[str]:
    """Return a unique name per model that reads well in a sentence, as "fine-tuned resnet18"."""
    return _unique(_spoken, models)


def keys(models: Sequence[RunSettings]) -> list[str]:
    """Return a unique ``<model>-<mode>`` per model, of letters, digits, ``-``, ``.`` and ``_``."""
    plain = [f"{_slug(_network(settings))}-{settings.mode}" for settings in models]
    counts = Counter(plain)
    taken: Counter[str] = Counter()
    result = []
    for key in plain:
        taken[key] += 1
        result.append(f"{key}-{taken[key]}" if counts[key] > 1 else key)
    return result


def _label(settings: RunSettings) -> str:
    if settings.model == "custom_cnn":
        return settings.model
    return f"{_network(settings)}, {MODE_WORDS[settings.mode]}"


def _spoken(settings: RunSettings) -> str:
    if settings.model == "custom_cnn":
        return "the custom CNN"
    forms = {
        "scratch": "{} from scratch",
        "linear_probe": "the linear probe on {}",
        "fine_tune": "fine-tuned {}",
    }
    return forms[settings.mode].format(_network(settings))


def _network(settings: RunSettings) -> str:
    """Return the class of a network of the user's own, and any other's name."""
    return settings.model.rpartition(":")[2] if own_network(settings.model) else settings.model


def _unique(name: Callable[[RunSettings], str], models: Sequence[RunSettings]) -> list[str]:
    plain = [name(settings) for settings in models]
    result = list(plain)
    for label, count in Counter(plain).items():
        if count > 1:
            places = [i for i, other in enumerate(plain) if other == label]
            for place, words in zip(places, _differences([models[i] for i in places]), strict=True):
                result[place] = f"{label} ({words})"
    return result


def _differences(models: Sequence[RunSettings]) -> list[str]:
    used = [settings.effective() for settings in models]
    shared = [name for name in used[0] if all(name in one for one in used)]
    own = [name for name in shared if name not in ("model", "mode", "seed")]
    differing = [name for name in own if len({repr(one[name]) for one in used}) > 1]
    return [", ".join(f"{name} {_shown(one[name])}" for name in differing) for one in used]


def _shown(value: object) -> str:
    return " + ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _slug(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "._") else "_" for c in name)
