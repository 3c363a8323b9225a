"""Learning, as ``notebooks/train.ipynb`` goes through it: data, models, train, evaluate."""

import sys
from pathlib import Path


def _files() -> dict[str, int]:
    """Return when each file of this package was changed last."""
    return {str(file): file.stat().st_mtime_ns for file in Path(__file__).parent.rglob("*.py")}


_imported = _files()


def forget_edited() -> None:
    """Forget this package's modules if a file of it was edited, so that importing them reads them again.

    With it "Run all" in Jupyter trains with the code as it stands, without a restart of the kernel.
    """
    if _files() == _imported:
        return
    for name in [name for name in sys.modules if name.startswith(f"{__name__}.")]:
        del sys.modules[name]
        globals().pop(name.removeprefix(f"{__name__}."), None)
    _imported.clear()
    _imported.update(_files())
