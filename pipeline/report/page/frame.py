"""What surrounds the argument: the cover before it, the footer and the downloads after it."""

import base64
import json
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from IPython.display import Markdown
from markupsafe import Markup

from pipeline.record import RunRecord
from pipeline.report.look.markup import typst_string
from pipeline.report.page import unprintable
from pipeline.report.page.handout import tones
from pipeline.report.page.templates import filled
from pipeline.report.render import engine_name
from pipeline.report.study import Study
from pipeline.report.words.english import plural
from pipeline.report.words.numbers import data_size

MOST_BYTES = 4_000_000  # of notebooks that travel inside the page


def cover(study: Study, today: date | None = None) -> Markdown:
    """Return the title, what was asked, and how much stands behind the report."""
    experiment, day = study.experiment, today or date.today()
    runs, models = (
        plural(len(study.names) + len(study.smaller), "run"),
        plural(len(set(study.names.values())), "model"),
    )
    parts = [experiment.author, runs, models, f"{day.day} {day:%B %Y}"]
    facts = " · ".join(filter(None, parts))
    words = [experiment.title, experiment.description, facts]
    spelling = unprintable.rules(study)
    note = "#text(size: 8.5pt, fill: muted, unprintable)" if spelling else ""
    paper = "\n".join(filter(None, [spelling, f"#cover({', '.join(map(typst_string, words))})", note]))
    return filled("cover", paper, title=words[0], description=words[1], facts=facts, tones=Markup(tones()))


def notebooks(study: Study) -> Markdown:
    """Return the executed notebooks as downloads inside the page, as many as the page can carry."""
    records = [model.chosen for model in study.models] + study.failures
    records += [record for record in study.records if record not in records]
    carried = [*_sources(records), *_carried(records)]
    left = len(records) - sum(item["name"].endswith(".ipynb") for item in carried)
    return filled("notebooks", carried=carried, left=plural(left, "more notebook") if left else "")


def _sources(records: Iterable[RunRecord]) -> Iterator[dict[str, str]]:
    """Yield the files of networks of the user's own, each once."""
    found: dict[str, str] = {}
    for record in records:
        network = record.details.model
        if network is not None and network.source is not None:
            path = Path(record.settings.model.rpartition(":")[0])
            same = found.setdefault(path.name, network.source) == network.source
            if not same:  # two students' files may have one name in two folders
                found["-".join(path.parts[-2:])] = network.source
    for name, text in found.items():
        code = base64.b64encode(text.encode()).decode()
        yield {
            "name": name,
            "address": Markup(f"data:text/x-python;base64,{code}"),
            "size": data_size(len(text.encode())),
        }


def _carried(records: Iterable[RunRecord]) -> Iterator[dict[str, str]]:
    room = MOST_BYTES
    for record in records:
        content = _notebook(record.folder / "train.ipynb")
        if content and len(content) <= room:
            room -= len(content)
            code = base64.b64encode(content).decode()
            address = f"data:application/x-ipynb+json;base64,{code}"
            yield {
                "name": f"{record.run_id}.ipynb",
                "address": Markup(address),
                "size": data_size(len(content)),
            }


def _notebook(path: Path) -> bytes:
    """Return an executed notebook without the blanks between its JSON, empty when it cannot be read."""
    try:
        return json.dumps(json.loads(path.read_bytes()), separators=(",", ":")).encode()
    except (OSError, ValueError):
        return b""


def footer() -> Markdown:
    """Return the last lines: what made the report."""
    words = (
        f"Made by Headstart, rendered by {engine_name()}. All numbers and comparisons are computed from the "
        "records of the runs."
    )
    return filled("footer", f"#colophon({typst_string(words)})", words=words)
