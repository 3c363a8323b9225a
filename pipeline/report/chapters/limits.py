"""What these runs cannot say, each limit with its number."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.record import DatasetInfo
from pipeline.report.look.paragraph import Points
from pipeline.report.model import Model
from pipeline.report.names import network
from pipeline.report.study import Study
from pipeline.report.words.english import join, number_word, opened, plural
from pipeline.report.words.numbers import percent, points
from pipeline.report.words.phrases import spoken_list
from pipeline.report.words.sentence import Sentence

# Strong small backbones, by a part of their names in timm: those of params/backbones.yaml.
BACKBONES = {
    "dinov": "DINOv2",
    "siglip": "SigLIP",
    "convnext": "ConvNeXt",
    "mobilenetv4": "MobileNetV4",
}
ENOUGH_SEEDS = 3  # from which more are not asked for


@dataclass(frozen=True)
class Failed:
    """A model with failed runs."""

    model: str  # for sentences
    failed: int
    whole: int
    reasons: Sequence[str]


@dataclass(frozen=True)
class Close:
    """The best two models on val."""

    models: tuple[Model, Model]
    lead_images: float  # how many test images one has right more than the other


@dataclass(frozen=True)
class Facts:
    """What limits the conclusions."""

    models: Sequence[Model]
    failures: Sequence[Failed]
    apart: Sequence[str]  # models left out because they were tested on other images, for sentences
    test_images: int
    half_width: float  # of the widest interval of an accuracy
    paired_half_width: float | None  # of the widest interval of a difference
    train_images: Mapping[str, int]  # by model, for sentences
    dataset: DatasetInfo | None
    data_name: str  # a folder of one's own by its name
    label_issues: int
    closest: Close | None
    machines: Sequence[tuple[str, str, int, str]]  # device, CPU, threads, precision
    torch_versions: Sequence[str]  # that trained the runs
    searched: Sequence[str]  # settings that tuning searched for every model, in words
    tuned_all: bool
    asked_elsewhere: bool  # whether images from elsewhere were asked about

    @property
    def several(self) -> bool:
        return len(self.models) > 1


def facts(study: Study) -> Facts:
    """Return what limits the conclusions, also of a study without any whole run."""
    environments = [found for record in study.records if (found := record.details.environment)]
    return Facts(
        models=study.models,
        failures=_failures(study),
        apart=list(dict.fromkeys(study.spoken[record.run_id] for record in study.apart)),
        test_images=len(study.targets),
        half_width=max(((m.accuracy.high - m.accuracy.low) / 2 for m in study.models), default=0.0),
        paired_half_width=max(((test.high - test.low) / 2 for test in study.tests), default=None),
        train_images=_train_images(study),
        dataset=study.dataset,
        data_name=_data_name(study),
        label_issues=len(study.label_issues),
        closest=_closest(study),
        torch_versions=study.torch_versions,
        searched=list(dict.fromkeys(name.replace("_", " ") for one in study.tuned for name in one.searched)),
        tuned_all=len(study.tuned) == len(study.models),
        asked_elsewhere=study.experiment.external_test is not None,
        machines=sorted({(e.device, e.cpu, e.threads, e.precision) for e in environments}),
    )


def _data_name(study: Study) -> str:
    settings, recorded = study.experiment.runs[0], study.dataset.name if study.dataset else ""
    return settings.data_name if recorded == settings.dataset else recorded


def _failures(study: Study) -> list[Failed]:
    reasons: dict[str, list[str]] = {}
    for record in study.failures:
        failure = record.details.failure
        reason = failure.message if failure else "no reason was recorded"
        reasons.setdefault(study.spoken[record.run_id], []).append(reason.rstrip("."))
    whole = {model.spoken: len(model.records) for model in study.models}
    return [Failed(model, len(found), whole.get(model, 0), found) for model, found in reasons.items()]


def _train_images(study: Study) -> dict[str, int]:
    datasets = {model.spoken: model.chosen.details.dataset for model in study.models}
    return {model: found.split_sizes.get("train", 0) for model, found in datasets.items() if found}


def _closest(study: Study) -> Close | None:
    if len(study.learned) < 2:
        return None
    first, second = sorted(study.learned, key=lambda model: -model.val_accuracy)[:2]
    lead = abs(first.accuracy.value - second.accuracy.value) * len(study.targets)
    return Close((first, second), lead)


def words(study: Study) -> Points:
    """List the limits; of a study without any whole run, only the failures."""
    found = facts(study)
    rules: tuple[Callable[[Facts], Sentence | None], ...] = (
        _apart, _seeds, _test_size, _choice, _recipes, _backbones, _unequal_data, _one_data_set, _twins,
        _labels, _hardware, _versions, _hidden_costs,
    )  # fmt: skip
    limits = [rule(found) for rule in rules] if found.models else []
    return Points(study, [*map(_failure, found.failures), *limits])


def _failure(found: Failed) -> Sentence:
    text = f"{opened(found.model)} is missing from every comparison, since it failed: {found.reasons[0]}."
    if found.whole:
        seeds = f"{number_word(found.failed)} of its {number_word(found.failed + found.whole)} seeds"
        text = (
            f"{opened(found.model)} stands on fewer runs than planned, since {seeds} failed: "
            f"{found.reasons[0]}."
        )
    return Sentence(text, "limits.failed", found, ("tbl-runs",))


def _apart(found: Facts) -> Sentence | None:
    if not found.apart:
        return None
    were = "was" if len(found.apart) == 1 else "were"
    text = (
        f"{opened(join(found.apart))} {were} tested on other images than the rest and left out of all "
        "comparisons."
    )
    return Sentence(text, "limits.apart", {"models": found.apart}, ("tbl-runs",))


def _seeds(found: Facts) -> Sentence:
    seeds = {model: len(model.records) for model in found.models}
    text = _repeated(found, min(seeds.values()), max(seeds.values()))
    if max(seeds.values()) == 1:
        who = "Each model ran" if found.several else "The model ran"
        tail = ", so another seed may rank close models otherwise" if found.several else ""
        text = (
            f"{who} once: intervals and verdicts cover the choice of test images, not the luck of "
            f"initialisation, data order and augmentation; they are of the trained networks{tail}."
        )
    if max(seeds.values()) < ENOUGH_SEEDS:
        text += " Set seeds: [0, 1, 2]."
    return Sentence(text, "limits.seeds", seeds, ("tbl-runs",))


def _repeated(found: Facts, few: int, many: int) -> str:
    seeds = "one seed" if few == 1 else f"{number_word(few)} seeds"
    which = f"{seeds} per model" if few == many else f"{seeds} for the least repeated model"
    tail = ", which the intervals of differences allow for" if found.several else ""
    return f"With {which}, the spread over seeds is only roughly known{tail}."


def _test_size(found: Facts) -> Sentence:
    images, paired = found.test_images, found.paired_half_width
    seeds = {len(model.records) for model in found.models}
    so_few = f" and {plural(seeds.pop(), 'seed')} each" if len(seeds) == 1 and seeds != {1} else ""
    so_few = " and these seeds" if len(seeds) > 1 else so_few
    known = f"an accuracy is known to about ±{points(found.half_width)}"
    text = f"With {plural(images, 'test image')}{so_few} {known}"
    evidence: dict[str, float] = {"images": images, "half_width": found.half_width}
    if paired is not None:
        evidence["half_width_of_difference"] = paired
        text += f", the difference of two models to about ±{points(paired)}, at worst"
    return Sentence(f"{text}.", "limits.test-size", evidence, ("fig-accuracy",))


def _choice(found: Facts) -> Sentence | None:
    sizes = found.dataset.split_sizes if found.dataset else {}
    if not found.several or "val" not in sizes:
        return None
    seeds = ", seed" if any(len(model.records) > 1 for model in found.models) else ""
    text = (
        f"The best epoch{seeds} and model were chosen on {plural(sizes['val'], 'val image')}, not on test; "
        "others might have chosen otherwise among close models."
    )
    return Sentence(text, "limits.val-choice", {"val_images": sizes["val"]})


def _recipes(found: Facts) -> Sentence:
    text = "The model stands for one recipe; other settings may move it."
    if found.several:
        text = (
            "Each model stands for one recipe; another learning rate, schedule or augmentation may move it, "
            "and nothing shows that all were tuned equally well."
        )
    if found.searched and found.tuned_all:
        text = (
            f"Tuning searched {join(found.searched)} alone; another schedule, length of training or "
            "augmentation may move a model, as may a longer search."
        )
    if not found.searched:
        text += " Set tuning (docs/contest.md)."
    return Sentence(text, "limits.recipe", {"models": len(found.models)}, ("tbl-runs",))


def _backbones(found: Facts) -> Sentence | None:
    """Name the pretrained networks that were tried, and strong ones that were not."""
    tried = list(dict.fromkeys(model.name for model in found.models if model.pretrained))
    others = [words for part, words in BACKBONES.items() if not any(part in name for name in tried)]
    if not tried or not others:
        return None
    text = (
        f"Of pretrained networks only {join([network(name) for name in tried])} "
        f"{'was' if len(tried) == 1 else 'were'} tried; a stronger one, as "
        f"{join(others, 'or')} (params/backbones.yaml), may change the answer."
    )
    return Sentence(text, "limits.backbones", {"tried": tried, "untried": others})


def _unequal_data(found: Facts) -> Sentence | None:
    """Warn when models did not learn from equally many images."""
    sizes = found.train_images
    if len(set(sizes.values())) < 2:
        return None
    few, many = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
    text = (
        f"The models did not learn from equally many images: {few} from {sizes[few]:,}, {many} from "
        f"{sizes[many]:,}; what separates them may be that. Set max_train_images: {sizes[few]} "
        "for all."
    )
    return Sentence(text, "limits.unequal-data", sizes, ("tbl-runs",))


def _one_data_set(found: Facts) -> Sentence | None:
    if found.dataset is None:
        return None
    text = (
        f"This is one data set ({found.data_name}) and its own test images; another "
        f"camera, place or time may give other figures{' and another ranking' if found.several else ''}."
    )
    if not found.asked_elsewhere:
        text += " Set external_test: folder."
    return Sentence(text, "limits.one-data-set", {"dataset": found.dataset.name})


def _twins(found: Facts) -> Sentence | None:
    dataset = found.dataset
    if dataset is None:
        return None
    twins = len(dataset.near_duplicates)
    evidence = {"near_duplicates": twins, "note": dataset.near_duplicates_note}
    if twins:
        share = percent(twins / max(found.test_images, 1))
        text = f"Of the test images {share} have a copy in train, where memory may pass for skill."
        return Sentence(text, "limits.near-duplicates", evidence, ("tbl-duplicates",))
    if dataset.near_duplicates_note:
        return None
    text = "Whether test images have copies in train was not looked at."
    return Sentence(text, "limits.near-duplicates.unknown", evidence)


def _labels(found: Facts) -> Sentence | None:
    """Warn when doubtful labels outnumber the images that separate the best two on val."""
    issues, close = found.label_issues, found.closest
    if not issues or close is None or issues <= close.lead_images:
        return None
    lead = round(close.lead_images)
    images = plural(lead, "image") if lead else "less than one image"
    outnumber = "outweighs" if issues == 1 else "outnumber" if lead else "outweigh"
    text = (
        f"The {plural(issues, 'test label')} in doubt {outnumber} what lies between "
        f"{spoken_list(close.models)}, {images}: wrong labels could decide between them."
    )
    evidence = {"issues": issues, "lead_images": close.lead_images}
    return Sentence(text, "limits.labels", evidence, ("tbl-label-errors",))


def _hardware(found: Facts) -> Sentence | None:
    if not found.machines:
        return None
    text = f"Times were measured on {join([_machine(*machine) for machine in found.machines])}"
    if len(found.machines) > 1:
        text += "; since not all runs had the same, they do not compare fairly."
    else:
        text += "; other hardware gives other times and ratios."
    return Sentence(text, "limits.hardware", {"machines": len(found.machines)}, ("tbl-cost", "tbl-runs"))


def _machine(device: str, cpu: str, threads: int, precision: str) -> str:
    where = f"a CPU ({cpu})" if device == "cpu" else f"{device}, beside a CPU ({cpu}),"
    return f"{where} with {plural(threads, 'thread')} in {precision}"


def _versions(found: Facts) -> Sentence | None:
    """Warn when runs were trained by unlike versions of PyTorch, which may compute in other ways."""
    if len(found.torch_versions) < 2:
        return None
    text = (
        f"The runs were trained by PyTorch {join(found.torch_versions)}: a difference between models may be "
        "one between versions."
    )
    return Sentence(text, "limits.versions", {"torch": found.torch_versions}, ("tbl-runs",))


def _hidden_costs(found: Facts) -> Sentence | None:
    transfer = [model for model in found.models if model.pretrained]
    if not transfer:
        return None
    text = (
        "Others paid for the pretrained weights: neither time nor energy of that training is in these "
        "figures, nor is it known whether it saw images like those of test."
    )
    return Sentence(text, "limits.pretraining-cost", {"models": transfer}, ("tbl-cost",))
