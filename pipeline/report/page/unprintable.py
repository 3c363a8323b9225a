"""Characters that no font of the PDF has: spelled there by name or number, as the page shows them anyway.

An accessible PDF may hold no character without a glyph: Quarto would end without one, and leave an old
PDF beside a new page.
"""

import json
import re

import typst

from pipeline.fonts import named
from pipeline.report.study import Study

COMMON = re.compile("[\0-\u024f\u2000-\u206f\u2190-\u21ff\u2200-\u22ff]")  # in every font that Typst brings
LOST = re.compile('the text `"(.+?)"` could not be displayed')
NOTE = (
    "What no font of the machine that made this PDF can draw stands in brackets, by its name or its number "
    "in Unicode; the page shows it as it is."
)


def rules(study: Study) -> str:
    """Return Typst that spells such characters wherever they stand from here on; often nothing."""
    found = sorted(unprintable(_names(study)))
    if not found:
        return ""
    escaped = {character: f"\\u{{{ord(character):x}}}" for character in found}
    spelled = ", ".join(f'"{code}": {json.dumps(named(c))}' for c, code in escaped.items())
    run = f"[{''.join(escaped.values())}][{''.join(escaped.values())}\\u{{200d}}\\u{{fe0f}}]*"
    return (
        f'#show regex("{run}"): it => {{ let spelled = ({spelled},); "[" + it.text.codepoints()'
        '.filter(c => c in spelled).map(c => spelled.at(c)).join(" ") + "]" }\n'
        f"#let unprintable = [{NOTE}]"
    )


def unprintable(text: str) -> set[str]:
    """Return the characters of ``text`` that no font has which Typst finds: its own and this machine's."""
    found, asked = set[str](), set(filter(str.isprintable, COMMON.sub("", text)))
    while asked - found:
        source = "\n\n".join(f'#"\\u{{{ord(character):x}}}"' for character in sorted(asked - found))
        try:
            typst.compile(f'#set document(title: "x")\n{source}'.encode(), pdf_standards=["ua-1"])
            break
        except typst.TypstError as error:
            lost = {character for run in LOST.findall(error.diagnostic) for character in run} & asked
            if not lost - found:
                break
            found |= lost
    return found


def _names(study: Study) -> str:
    """Return what of the report's words others wrote: names of classes, files and models, titles, notes."""
    experiment, dataset = study.experiment, study.dataset
    parts = [*study.classes, experiment.title, experiment.description, experiment.author, experiment.path]
    parts += [model.label for model in study.models]
    parts += [dataset.model_dump_json() if dataset else ""]
    for record in (*study.records, *study.failures):
        failure = record.details.failure
        parts += [record.settings.model_dump_json(), failure.message if failure else ""]
    return "".join(map(str, parts))
