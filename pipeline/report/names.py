"""Names for models: unique, and made for tables (labels), sentences (spoken) or ids (keys)."""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from pipeline.experiment import RunSettings, own_network

IF_SET = ("class_weights", "sampler")  # have an effect only where they are set
MODE_WORDS = {"scratch": "from scratch", "linear_probe": "linear probe", "fine_tune": "fine-tuned"}

# How the literature spells names of networks: the first pattern that fits the whole name.
SPELLINGS = (
    (r"custom_cnn", "custom CNN"),
    (r"(resnet|vgg|densenet)(\d+)", "{}-{}"),
    (r"vgg(\d+)_bn", "VGG-{} with batch norm"),
    (r"wide_resnet(\d+)_2", "Wide ResNet-{}-2"),
    (r"(efficientnet)_(lite\d|b\d)", "{}-{}"),
    (r"(efficientnet)_v2_([sml])", "{}V2-{}"),
    (r"(mobilenet)_v2", "{}V2"),
    (r"(mobilenet)_v3_(small|large)", "{}V3-{}"),
    (r"(convnext)_(tiny|small|base|large)", "{}-{}"),
    (r"(vit)_([blh])_(\d+)", "{}-{}/{}"),
    (r"swin_([tsb])", "Swin-{}"),
    (r"inception_v3", "Inception v3"),
    (r"(alexnet|googlenet)", "{}"),
)
WORDS = {
    "resnet": "ResNet", "vgg": "VGG", "densenet": "DenseNet", "efficientnet": "EfficientNet", "vit": "ViT",
    "mobilenet": "MobileNet", "convnext": "ConvNeXt", "alexnet": "AlexNet", "googlenet": "GoogLeNet",
}  # fmt: skip


def network(name: str) -> str:
    """Return a network's name as it is written in prose, as "EfficientNet-Lite0"; one not known as it is.

    >>> network("resnet18"), network("efficientnet_lite0"), network("vit_b_16")
    ('ResNet-18', 'EfficientNet-Lite0', 'ViT-B/16')
    """
    for pattern, spelling in SPELLINGS:
        if found := re.fullmatch(pattern, name):
            parts = [WORDS.get(part, part.capitalize()) for part in found.groups() if part]
            return spelling.format(*parts)
    return name


def labels(models: Sequence[RunSettings]) -> list[str]:
    """Return a unique label per model, with the settings that differ where name and mode do not."""
    return _unique(_label, models)


def spoken(models: Sequence[RunSettings]) -> list[str]:
    """Return a unique name per model that reads well in a sentence, as "fine-tuned ResNet-18"."""
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
        return network(settings.model)
    return f"{_written(settings)}, {MODE_WORDS[settings.mode]}"


def _spoken(settings: RunSettings) -> str:
    if settings.model == "custom_cnn":
        return "the custom CNN"
    forms = {
        "scratch": "{} from scratch",
        "linear_probe": "the linear probe on {}",
        "fine_tune": "fine-tuned {}",
    }
    return forms[settings.mode].format(_written(settings))


def _network(settings: RunSettings) -> str:
    """Return the class of a network of the user's own, and any other's name."""
    return settings.model.rpartition(":")[2] if own_network(settings.model) else settings.model


def _written(settings: RunSettings) -> str:
    return network(_network(settings))


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
    own = [name for name in (*shared, *IF_SET) if name not in ("model", "mode", "seed")]
    differing = [name for name in own if len({repr(one.get(name)) for one in used}) > 1]
    words = [[f"{name} {_shown(one.get(name, 'none'))}" for name in differing] for one in used]
    if len({settings.model for settings in models}) > 1:  # classes of one name in several files
        words = [[s.model.rpartition(":")[0], *rest] for s, rest in zip(models, words, strict=True)]
    return [", ".join(one) for one in words]


def _shown(value: object) -> str:
    return " + ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _slug(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "._") else "_" for c in name)
