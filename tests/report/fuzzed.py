"""Made-up studies whose every free text is random: Unicode of all kinds, and markup."""

import random
from dataclasses import replace
from pathlib import Path

from pipeline.experiment import Experiment
from pipeline.learn.data.contents import clean_name
from pipeline.record import Failure, RunRecord
from tests.made_records import HOSTILE_CLASSES, Made, MadeData, write_experiment

MARKUP = (
    *HOSTILE_CLASSES,
    *("<img src=x onerror=alert(1)>", "</script>", "<!--", "]]>", "</title>", "<svg/onload=a()>", "&lt;"),
    *("{{< video x >}}", "```{=html}", "`{python} 1/0`", "::: {.callout}", "[^1]", "![](x)", "{onclick=a}"),
    *("#import \"x\"", "#eval(1)", "@tbl-1", "$\\input{x}$", "\\newpage", "%", "|---|", "~~~", "***", "---"),
    *("\u202e", "\u200d", "e\u0301\u0302\u0303", "👩\u200d👩\u200d👧", "日本語", "עברית"),
    *("\u00ad", "\ufeff", "ﷺ"),
    *("\n", "\t", "\r\n", "\x00", "\x1b[31m", "\u2028", "\u00a0", "\x7f", "\ufffe"),
)  # fmt: skip

LONGEST_CLASS = 40  # tables cut longer names in the middle


def text(chance: random.Random, most: int = 6) -> str:
    """Return some random text: pieces of markup and random characters of all planes."""
    pieces = [chance.choice(MARKUP) if chance.random() < 0.6 else _characters(chance) for _ in range(most)]
    return "".join(pieces[: chance.randint(1, most)]) + str(chance.randint(0, 10**9))


def _characters(chance: random.Random) -> str:
    most = chance.choice((0x7F, 0x24F, 0xD7FF, 0x10FFFF))
    codes = (chance.randint(1, most) for _ in range(chance.randint(1, 8)))
    return "".join(chr(code) for code in codes if not 0xD800 <= code <= 0xDFFF)


def fuzzed_experiment(folder: Path, seed: int) -> tuple[Experiment, list[RunRecord]]:
    """Write such a study below ``folder`` and return what ``ensure`` would; the same for each seed."""
    chance = random.Random(seed)
    classes = tuple(clean_name(text(chance))[-LONGEST_CLASS:] for _ in range(6))
    data = MadeData(classes=classes, test=300, val=100, train=600)
    models = (Made(accuracy=0.7), Made("resnet18", "fine_tune", 0.8, seeds=(0, 1), failed_seeds=(1,)))
    experiment, records = write_experiment(folder, "fuzzed", data, models)
    texts = {key: text(chance, 12) for key in ("title", "description", "author")}
    return experiment.model_copy(update=texts), [_with_texts(record, chance) for record in records]


def _with_texts(record: RunRecord, chance: random.Random) -> RunRecord:
    details = record.details
    changes: dict[str, object] = {}
    if details.failure:
        failure = {key: text(chance) for key in ("message", "traceback")}
        changes["failure"] = Failure(kind="RunError", cell="5 (fit)", **failure)
    if details.dataset:
        unreadable = [clean_name(text(chance)) for _ in range(3)]
        changes["dataset"] = details.dataset.model_copy(update={"unreadable": unreadable})
    if details.model:
        own = {"weights_name": clean_name(text(chance)), "description": clean_name(text(chance))}
        changes["model"] = details.model.model_copy(update=own)
    if details.environment:
        own = {"cpu": text(chance), "platform": text(chance)}
        changes["environment"] = details.environment.model_copy(update=own)
    return replace(record, details=details.model_copy(update=changes))
