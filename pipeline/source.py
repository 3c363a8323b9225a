"""The code that can change a result, as one hash: the same under every Python, and without comments."""

import ast
import io
import json
import tokenize
from functools import cache
from pathlib import Path

from pipeline.files import digest

PACKAGE = Path(__file__).parent
NOTEBOOK = PACKAGE / "notebooks" / "train.ipynb"
# In a module of ``learn`` whose every edit leaves all results as they are.
NO_RESULT = "# No result depends on this module: it is no part of a run's identity."
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def code_hash() -> str:
    """Return the hash of the code as it stands on disk now.

    That is ``pipeline/learn``, without the modules that say they change no result, and the notebook's
    code cells. Comments, docstrings and empty lines are left out.
    """
    sources = [path.read_text(encoding="utf-8") for path in sorted((PACKAGE / "learn").glob("**/*.py"))]
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    sources = [source for source in sources if NO_RESULT not in source]
    sources += ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return digest(sorted(digest(code_alone(source)) for source in sources))


@cache
def code_alone(source: str) -> str:
    """Return Python source without comments, docstrings and empty lines.

    Positions in the text are used, not a dump of the syntax tree, which differs between Pythons. Kept for
    each text: to read all of them takes more than half a second, which every run of a process would pay.
    """
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            text = node.body[0]
            lines[text.lineno - 1 : text.end_lineno] = [""] * ((text.end_lineno or 0) - text.lineno + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip())
