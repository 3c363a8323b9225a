"""What surrounds the argument: the cover before it, the footer and the downloads after it."""

import base64
import json
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from IPython.display import Markdown

from pipeline.record import RunRecord
from pipeline.report.page.markup import raw, text, typst_string
from pipeline.report.rendering import engine_name
from pipeline.report.study import Study
from pipeline.report.words.english import data_size, plural

MOST_BYTES = 4_000_000  # of notebooks that travel inside the page


def cover(study: Study, today: date | None = None) -> Markdown:
    """Return the title, what was asked, and how much stands behind the report."""
    experiment, day = study.experiment, today or date.today()
    facts = [
        plural(len(study.names), "run"),
        plural(len(dict.fromkeys(study.names.values())), "model"),
        f"{day.day} {day:%B %Y}",
    ]
    if experiment.author:
        facts.insert(0, experiment.author)
    page = [
        '<header class="cover">',
        '<p class="eyebrow">Headstart report</p>',
        f"<h1>{text(experiment.title)}</h1>",
        f'<p class="lead">{text(experiment.description)}</p>' if experiment.description else "",
        f'<p class="facts">{text(" · ".join(facts))}</p>',
        "</header>",
    ]
    words = [experiment.title, experiment.description, " · ".join(facts)]
    return raw("\n".join(filter(None, page)), f"#cover({', '.join(map(typst_string, words))})")


def notebooks(study: Study) -> Markdown:
    """Return the executed notebooks as downloads inside the page, as many as the page can carry."""
    records = [group.chosen for group in study.models] + study.failures
    records += [record for record in study.records if record not in records]
    carried = list(_carried(records))
    if not carried:
        return raw("<p>No run left a notebook.</p>")
    links = "\n".join(_link(record, content) for record, content in carried)
    left = plural(len(records) - len(carried), "more notebook")
    note = f"<p>{left} did not fit this page; look in the folders of the runs.</p>"
    return raw(f'<ul class="downloads">\n{links}\n</ul>{note if len(records) > len(carried) else ""}')


def _carried(records: Iterable[RunRecord]) -> Iterator[tuple[RunRecord, bytes]]:
    room = MOST_BYTES
    for record in records:
        content = _notebook(record.folder / "train.ipynb")
        if content and len(content) <= room:
            room -= len(content)
            yield record, content


def _notebook(path: Path) -> bytes:
    """Return an executed notebook without the blanks between its JSON, empty when it cannot be read."""
    try:
        return json.dumps(json.loads(path.read_bytes()), separators=(",", ":")).encode()
    except (OSError, ValueError):
        return b""


def _link(record: RunRecord, content: bytes) -> str:
    address = f"data:application/x-ipynb+json;base64,{base64.b64encode(content).decode()}"
    name = text(f"{record.run_id}.ipynb")
    return f'<li><a download="{name}" href="{address}">{name}</a> ({text(data_size(len(content)))})</li>'


def footer() -> Markdown:
    """Return the last lines: what made the report."""
    words = (
        f"Made by Headstart, rendered by {engine_name()}. All numbers and comparisons are computed from the "
        "records of the runs."
    )
    return raw(f'<footer class="footer"><p>{text(words)}</p></footer>', f"#colophon({typst_string(words)})")
