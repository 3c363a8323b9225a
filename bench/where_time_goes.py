"""What the seconds of ``headstart report`` go to: ``python -m bench.where_time_goes [PARAMS]``.

Makes a study and its report in an empty folder and adds up, over all runs, the cells of their notebooks as
Papermill timed them. Writes nothing but a table.
"""

import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat

from bench.overhead import ROOT, headstart
from pipeline.record import RunRecord, Timings

KERNEL = "starting kernels, Papermill"
TRAINING = "training and features"
LEFT = "checkpoints, first step, curves"  # of the cell that trains
CELLS = {  # by what a cell calls
    "data.load(": "images, and pictures of them",
    "show_augmented(": "images, and pictures of them",
    "models.build(": "building networks",
    "train.fit(": LEFT,
    "evaluate.predict(": "evaluation, confusion matrix",
    "show_confusion(": "evaluation, confusion matrix",
    "evaluate.save(": "latency, baselines, saving",
}
OTHER = "other cells"


def parts(cells: Sequence[Mapping[str, Any]], timings: Timings) -> Counter[str]:
    """Return the seconds of one run by what they went to; they add up to Papermill's."""
    found: Counter[str] = Counter()
    for cell in cells:
        seconds = cell["metadata"].get("papermill", {}).get("duration") or 0.0
        what = next((name for call, name in CELLS.items() if call in cell["source"]), OTHER)
        found[what] += seconds
    trained = timings.train_seconds + timings.feature_seconds
    found[TRAINING] += trained
    found[LEFT] -= trained
    found[KERNEL] += (timings.papermill_seconds or 0.0) - sum(found.values())
    return found


def measured(params: Path, folder: Path) -> Counter[str]:
    """Make a study's report in an empty folder; return the seconds of all of it by what they went to."""
    study = Path(shutil.copy(params, folder))
    whole = headstart("report", study)
    found: Counter[str] = Counter()
    for record in (RunRecord.read(path.parent) for path in folder.glob("runs/*/record.json")):
        assert record.details.timings is not None
        found += parts(nbformat.read(record.folder / "train.ipynb", 4).cells, record.details.timings)
    both, page = headstart("render", study), headstart("render", study, "--to", "html")
    found["report: its cells, the page by Pandoc"] = page
    found["report: the PDF by Typst"] = both - page
    found["command, plan, between runs"] = whole - sum(found.values())
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table with the largest part first."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    params = Path(given[0]) if given else ROOT / "params" / "demo.yaml"
    with tempfile.TemporaryDirectory(prefix="headstart-time-") as folder:
        found = measured(params, Path(folder))
    whole = sum(found.values())
    print(f"| what | seconds | share |\n|---|---:|---:|\n| all of it | {whole:.0f} | |")
    for what, seconds in found.most_common():
        print(f"| {what} | {seconds:.0f} | {100 * seconds / whole:.0f} % |")


if __name__ == "__main__":
    main()
