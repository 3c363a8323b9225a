"""What tests of chapters share: the floats of report.qmd, what is said, and what a reader sees."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from pipeline.record import RunRecord
from pipeline.report import chapters
from pipeline.report.chapters.recommendations import recommendations
from pipeline.report.look import floats
from pipeline.report.look.table import Table
from pipeline.report.study import Study
from pipeline.report.words.numbers import NBSP
from pipeline.report.words.sentence import Sentence
from tests.made_records import KINDS, Made, MadeData, write_experiment

DATA = MadeData(train=400, val=200, test=400, near_duplicates=0, label_errors=0)
FLOATS = [*floats.BODY, *floats.APPENDIX]
FIGURES = [label for label in FLOATS if label.startswith("fig-")]
# Those that draw something of their own; the others are covered by the tests of their chapters.
SITUATIONS = sorted(
    set(KINDS) - {"transfer_wins", "scratch_wins", "one_seed", "no_custom", "tie", "no_transfer"}
)
TABLES = [label for label in FLOATS if label.startswith("tbl-")]


def shown(label: str, study: Study) -> Any:
    """Return what the report shows under a label: drawings, a table or cards; None where it shows nothing."""
    found = floats.SHOWN[label](study)
    return found.content if isinstance(found, floats.Float) else None


def drawings(label: str, study: Study) -> list[Figure]:
    """Return the panels of a figure; none of one that is not drawn by Matplotlib."""
    found = shown(label, study)
    return [found] if isinstance(found, Figure) else found if isinstance(found, list) else []


def every_sentence(study: Study) -> list[Sentence]:
    sections = [sentence for section in chapters.verdict(study).values() for sentence in section]
    return [*sections, *(found.sentence for found in recommendations(study))]


def said(study: Study, rule: str) -> str:
    """Return the one sentence of a rule, with plain spaces."""
    found = [s.text for s in every_sentence(study) if s.rule == rule]
    assert len(found) == 1, [s.rule for s in every_sentence(study)]
    return found[0].replace(NBSP, " ")


def rules(study: Study) -> set[str]:
    return {sentence.rule for sentence in every_sentence(study)}


def study_with(folder: Path, *models: Made, data: MadeData = DATA) -> Study:
    return Study.from_records(*write_experiment(folder, "made", data, models))


def grid(found: Any) -> list[list[str]]:
    """Return the cells of a table, its header first, as a reader sees them."""
    table = found.content if isinstance(found, floats.Float) else found
    assert isinstance(table, Table)
    return table.plain


def predictions(record: RunRecord) -> tuple[np.ndarray, np.ndarray]:
    """Read true and predicted classes on test straight from the run's file."""
    rows = pd.read_parquet(record.folder / "predictions.parquet").query("split == 'test'")
    probability = rows.filter(regex="^probability_").to_numpy()
    return rows["target"].to_numpy(), probability.argmax(axis=1)


def words(drawing: Figure | Axes) -> list[str]:
    return [text.get_text() for text in drawing.findobj(Text) if text.get_text()]


def with_words(drawing: Figure | Axes, text: str) -> bool:
    return any(text in found for found in words(drawing))
