"""The recipe of each model, side by side: what is the same for all, and what differs and so confounds."""

from collections.abc import Callable, Sequence

from pipeline.report.look import floats
from pipeline.report.look.table import NONE, Cell, Table, bold, name
from pipeline.report.look.theme import letters
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import escape_markdown, number_word
from pipeline.report.words.numbers import quantity

MOST_MODELS = 8  # side by side
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "muon": "Muon"}
Reads = Callable[[Model], str]


def _set(setting: str, show: Callable[[object], str] = str) -> Reads:
    """Return what reads one setting where it has an effect, and a dash where it has none."""

    def read(model: Model) -> str:
        used = model.settings.effective()
        return show(used[setting]) if setting in used and used[setting] is not None else NONE

    return read


def _listed(value: object) -> str:
    return (
        ", ".join(str(one).replace("_", " ") for one in value) or "none"
        if isinstance(value, list)
        else str(value)
    )


def _input(model: Model) -> str:
    return f"{model.network.input_size} px" if model.network else NONE


def _normalisation(model: Model) -> str:
    return "training images’" if model.normalised_by_data else "published weights’"


def _start(model: Model) -> str:
    info = model.network
    return (
        (info and info.weights_name)
        or (info and info.initialisation)
        or ("pretrained" if model.pretrained else "random")
    )


def _frozen(model: Model) -> str:
    info = model.network
    if info is None:
        return NONE
    left = info.total_parameters - info.trainable_parameters
    return f"{quantity(left)} of {quantity(info.total_parameters)}" if left else "none"


def _epochs(model: Model) -> str:
    used = model.settings.effective()
    head = used.get("head_epochs")
    return f"{head} (head) + {used['epochs']}" if head else str(used["epochs"])


def _stopping(model: Model) -> str:
    used, known = model.settings.effective(), model.chosen.details.patience_in_effect
    if used.get("patience") is None or known is False:
        return "off"
    return f"after {used['patience']} epochs"


def _several(count: int) -> str:
    return str(count) if count > 1 else NONE


def _balance(model: Model) -> str:
    """Say by what means rare classes count as much as others; a dash where each image counts alike."""
    return "weigh more" if model.settings.class_weights else "shown more" if model.settings.sampler else NONE


def _images(model: Model) -> str:
    found = model.chosen.details.dataset
    return f"{found.split_sizes.get('train', 0):,}" if found else NONE


ROWS: dict[str, Reads] = {
    "Training images": _images,
    "Input": _input,
    "Normalised by mean and spread": _normalisation,
    "Augmentation": _set("augmentation", _listed),
    "Starts from": _start,
    "Frozen weights": _frozen,
    "Optimizer": _set("optimizer", lambda value: OPTIMIZERS.get(str(value), str(value))),
    "Momentum": _set("momentum"),
    "Weight decay": _set("weight_decay", lambda value: f"{value:g}"),
    "Peak learning rate": _set("learning_rate", lambda value: f"{value:g}"),
    "Backbone’s share of it": _set("backbone_learning_rate_factor", lambda value: f"{value:g}"),
    "Schedule": _set("schedule", lambda value: str(value).replace("_", " ")),
    "Warm-up epochs": _set("warmup_epochs", lambda value: f"{value:g}"),
    "Batch": _set("batch_size"),
    "Views of each image": lambda model: _several(model.settings.effective().get("feature_views", 1)),
    "Rare classes": _balance,
    "Epochs": _epochs,
    "Early stopping": _stopping,
    "Label smoothing": _set("label_smoothing", lambda value: f"{value:g}"),
    "Dropout": _set("dropout", lambda value: f"{value:g}"),
    "Gradient clipping": _set("gradient_clip", lambda value: f"{value:g}"),
    "Averaged weights": _set("weight_averaging", lambda value: "yes" if value else "no"),
    "Mirrored at test": _set("flip_at_test", lambda value: "yes" if value else "no"),
    "Epoch kept": lambda model: (model.chosen.details.kept_by or "val_loss").replace("_", " ") + ", lowest",
}


def _shown(study: Study) -> list[Model]:
    return sorted(floats.shown_models(study, MOST_MODELS), key=lambda model: -model.test_accuracy)


def readings(models: Sequence[Model]) -> dict[str, list[str]]:
    """Return each row of the recipe with its value for each model; rows without any value are left out."""
    found = {what: [read(model) for model in models] for what, read in ROWS.items()}
    return {what: values for what, values in found.items() if set(values) != {NONE}}


def _title(study: Study) -> str:
    models = _shown(study)
    if len(models) == 1:
        return "The recipe"
    found = readings(models)
    differ = [what.lower() for what, values in found.items() if len(set(values)) > 1]
    if not differ:
        return "One recipe for all"
    count = (
        f"{number_word(len(differ))} of {len(found)} settings {'differs' if len(differ) == 1 else 'differ'}"
    )
    return f"{count[0].upper()}{count[1:]}, and may explain a difference as well"


@floats.table(
    "tbl-recipe",
    "Models as columns, the most accurate first. Bold: differs from the commonest value. Dash: without "
    "effect.",
    _title,
)
def recipe(study: Study) -> Table:
    """List the settings of each model; those that are equal stand in one last row."""
    models, marks = _shown(study), letters(study)
    found = readings(models)
    differ = {what: values for what, values in found.items() if len(set(values)) > 1 or len(models) == 1}
    rows: list[list[Cell]] = (
        [["Model", *(name(model.label, 34) for model in models)]] if len(models) > 1 else []
    )
    rows += [[escape_markdown(what), *_cells(values)] for what, values in differ.items()]
    same = [f"{what.lower()} {values[0]}" for what, values in found.items() if what not in differ]
    if same:
        rows.append(["The same for all", *[escape_markdown("; ".join(same))], *[""] * (len(models) - 1)])
    return Table(
        ["", *(marks[model.key] for model in models)], rows, "l" * (len(models) + 1), spans=bool(same)
    )


def _cells(values: Sequence[str]) -> list[str]:
    commonest = max(values, key=values.count)
    return [bold(escape_markdown(value), value != commonest) for value in values]
