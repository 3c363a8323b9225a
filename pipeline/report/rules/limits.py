"""What these runs cannot say, each limit with its number."""

from pipeline.report.rules.failed import failures
from pipeline.report.study import Study
from pipeline.report.words.english import join, number_word, opened, percent, plural, points
from pipeline.report.words.phrases import spoken_list
from pipeline.report.words.sentence import Sentence


def limits(study: Study) -> list[Sentence]:
    """List the limits; of a study without any whole run, only the failures."""
    if not study.models:
        return failures(study)
    found = [
        *failures(study), _apart(study), _seeds(study), _test_size(study), _choice(study), _recipes(study),
        _unequal_data(study), _one_data_set(study), _twins(study), _labels(study), _hardware(study),
        _hidden_costs(study),
    ]  # fmt: skip
    return [sentence for sentence in found if sentence]


def _apart(study: Study) -> Sentence | None:
    if not study.apart:
        return None
    models = list(dict.fromkeys(study.spoken[record.run_id] for record in study.apart))
    were = "was" if len(models) == 1 else "were"
    text = (
        f"{opened(join(models))} {were} tested on other images than the rest and left out of all comparisons."
    )
    return Sentence(text, "limits.apart", {"models": models}, ["tbl-runs"])


def _seeds(study: Study) -> Sentence:
    counts = [len(group.records) for group in study.models]
    evidence = {group.key: len(group.records) for group in study.models}
    few, many = min(counts), max(counts)
    if many == 1:
        who = "Each model ran" if len(counts) > 1 else "The model ran"
        tail = ", so another seed may rank close models otherwise" if len(counts) > 1 else ""
        text = (
            f"{who} once: the intervals cover the choice of test images, not the luck of initialisation, "
            f"data order and augmentation{tail}."
        )
    else:
        seeds = "one seed" if few == 1 else f"{number_word(few)} seeds"
        which = f"{seeds} per model" if few == many else f"{seeds} for the least repeated model"
        text = f"With {which}, the spread over seeds is itself only roughly known"
        text += (
            "; models count as different only when their seeds do not overlap." if len(counts) > 1 else "."
        )
    return Sentence(text, "limits.seeds", evidence, ["tbl-runs"])


def _test_size(study: Study) -> Sentence:
    images = len(study.targets)
    width = max((group.accuracy.high - group.accuracy.low) / 2 for group in study.models)
    text = f"With {plural(images, 'test image')} an accuracy is known to about ±{points(width)}"
    evidence = {"images": images, "half_width": width}
    if study.tests:
        paired = max((test.difference.high - test.difference.low) / 2 for test in study.tests)
        evidence["half_width_of_difference"] = paired
        text += f" and the difference of two models on the same images to about ±{points(paired)}, at worst"
    return Sentence(f"{text}.", "limits.test-size", evidence, ["fig-accuracy"])


def _choice(study: Study) -> Sentence | None:
    sizes = study.dataset.split_sizes if study.dataset else {}
    if len(study.models) < 2 or "val" not in sizes:
        return None
    text = (
        f"The best epoch, seed and model were chosen on {plural(sizes['val'], 'val image')}: the choice does "
        "not flatter the test figures, but other val images might have chosen otherwise among close models."
    )
    return Sentence(text, "limits.val-choice", {"val_images": sizes["val"]})


def _recipes(study: Study) -> Sentence:
    text = "The model stands for one recipe; other settings may move it."
    if len(study.models) > 1:
        text = (
            "Each model stands for one recipe, the settings in the params file; a better learning rate, "
            "schedule or augmentation may move it, and nothing here shows that all were tuned equally well."
        )
    return Sentence(text, "limits.recipe", {"models": len(study.models)}, ["tbl-runs"])


def _unequal_data(study: Study) -> Sentence | None:
    """Warn when models did not learn from equally many images."""
    sizes = {
        group.spoken: group.chosen.details.dataset.split_sizes.get("train", 0)
        for group in study.models
        if group.chosen.details.dataset
    }
    if len(set(sizes.values())) < 2:
        return None
    few, many = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
    text = (
        f"The models did not learn from equally many images: {few} from {sizes[few]:,}, {many} from "
        f"{sizes[many]:,}; what separates them may be that."
    )
    return Sentence(text, "limits.unequal-data", dict(sizes), ["tbl-runs"])


def _one_data_set(study: Study) -> Sentence | None:
    if study.dataset is None:
        return None
    text = (
        f"All of this is one data set ({study.dataset.name}) and its own test images; images from another "
        "camera, place or time may give other figures"
    )
    text += " and another ranking." if len(study.models) > 1 else "."
    return Sentence(text, "limits.one-data-set", {"dataset": study.dataset.name})


def _twins(study: Study) -> Sentence | None:
    dataset = study.dataset
    if dataset is None:
        return None
    evidence = {"near_duplicates": len(dataset.near_duplicates), "note": dataset.near_duplicates_note}
    if dataset.near_duplicates:
        share = percent(len(dataset.near_duplicates) / max(len(study.targets), 1))
        text = f"Of the test images {share} have a near-duplicate in train, where memory passes for skill."
        return Sentence(text, "limits.near-duplicates", evidence, ["tbl-duplicates"])
    if dataset.near_duplicates_note:
        return None
    text = "Whether test images have near-duplicates in train was not looked at."
    return Sentence(text, "limits.near-duplicates.unknown", evidence)


def _labels(study: Study) -> Sentence | None:
    """Warn when doubtful labels outnumber the images that separate the best two on val."""
    issues = len(study.label_issues)
    if not issues or len(study.models) < 2:
        return None
    first, second = sorted(study.models, key=lambda group: -group.val_accuracy)[:2]
    lead = abs(first.accuracy.value - second.accuracy.value) * len(study.targets)
    if issues <= lead:
        return None
    between = f"the {plural(round(lead), 'image')}" if round(lead) else "the less than one image"
    text = (
        f"The {plural(issues, 'test label')} in doubt outnumber {between} between "
        f"{spoken_list([first, second])}: wrong labels could decide between them."
    )
    if issues == 1:
        text = text.replace("test label in doubt outnumber", "test label in doubt outweighs")
    return Sentence(text, "limits.labels", {"issues": issues, "lead_images": lead}, ["tbl-label-errors"])


def _hardware(study: Study) -> Sentence | None:
    places = {
        (found.device, found.cpu, found.threads, found.precision)
        for record in study.records
        if (found := record.details.environment)
    }
    if not places:
        return None
    text = f"Times were measured on {join([_machine(*place) for place in sorted(places)])}"
    if len(places) > 1:
        text += "; since not all runs had the same, they do not compare fairly."
    else:
        text += "; other hardware gives other times, and other ratios between them."
    return Sentence(text, "limits.hardware", {"machines": len(places)}, ["tbl-cost", "tbl-runs"])


def _machine(device: str, cpu: str, threads: int, precision: str) -> str:
    where = f"a CPU ({cpu})" if device == "cpu" else f"{device}, beside a CPU ({cpu}),"
    return f"{where} with {plural(threads, 'thread')} in {precision}"


def _hidden_costs(study: Study) -> Sentence | None:
    if not study.transfer:
        return None
    text = (
        "The pretrained weights were paid for by others: neither the time nor the energy of their training "
        "is in these figures, nor is it known whether they saw images like those of test."
    )
    return Sentence(
        text, "limits.pretraining-cost", {"models": [g.key for g in study.transfer]}, ["tbl-cost"]
    )
