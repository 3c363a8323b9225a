"""The command ``init``: a folder of one's own that holds all that a study needs, also without a checkout."""

import shutil
import sys
from pathlib import Path

from pipeline import __version__
from pipeline.errors import InputError
from pipeline.files import new_beside, sync

PACKAGE = Path(__file__).parent
LOOK = "page"  # in the new folder: what stands in pipeline/report/page here
README = """# {name}

A study by Headstart {version}: train one's own network, or start from a pretrained one, and what does each
cost?

```console
$ headstart report                           # params/demo.yaml: minutes, and nothing is downloaded
$ headstart report params/own-images.yaml    # once data_dir in it names your images
$ quarto render                              # the demo, where Quarto is installed
```

| file | what it is |
|---|---|
| `params/` | experiments: copy one and change it |
| `report.qmd` | the report: change its words, leave out a chapter, or add one |
| `_quarto.yml`, `{look}/` | formats and looks |
| `train.ipynb` | one training run, to read and to run in Jupyter; `headstart` itself runs its own copy |
| `runs/`, `reports/`, `cache/` | what was made; it is there after the first report |

`headstart --help` names all commands. `report.qmd` belongs to this version of Headstart: after an upgrade,
make a new folder and copy your params files, and `runs/`, into it.
"""
IGNORED = "/runs/\n/reports/\n/cache/\n/data/\n/.quarto/\n/_environment.local\n"


def init(folder: Path) -> list[str]:
    """Make a folder for a study; return lines on what to do next.

    Raises InputError for one that is there and not empty, and where it cannot be written: then nothing is
    left behind.
    """
    path = folder.absolute()
    _check(folder, path)
    made = new_beside(path)
    try:
        _fill(made, path.name)
        if path.exists():  # an empty folder, maybe the current one
            for content in made.iterdir():
                content.rename(path / content.name)
            made.rmdir()
        else:
            made.rename(path)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be made: {error.strerror or error}. Free space or set the rights."
        ) from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    change = [] if path == Path.cwd() else [f"cd {folder}"]
    return [f"{folder}: made. Next:", *change, "headstart report"]


def _check(folder: Path, path: Path) -> None:
    if path.is_dir():
        if any(path.iterdir()):
            raise InputError(f"{folder}: is there and not empty. Name a new folder.")
    elif path.exists() or path.is_symlink():
        raise InputError(f"{folder}: is there and no folder. Name a new one.")
    elif not path.parent.is_dir():
        raise InputError(f"{folder}: no folder {path.parent} to make it in. Make that first.")


def _fill(made: Path, name: str) -> None:
    source = starter()
    (made / LOOK).mkdir(parents=True)
    (made / "params").mkdir()
    for path in sorted((source / "params").glob("*.yaml")):  # copytree's errors are lists of errors
        shutil.copyfile(path, made / "params" / path.name)
    shutil.copyfile(source / "report.qmd", made / "report.qmd")
    shutil.copyfile(PACKAGE / "notebooks" / "train.ipynb", made / "train.ipynb")
    project, own = (source / "_quarto.yml").read_text(encoding="utf-8"), "pipeline/report/page/"
    for path in sorted((PACKAGE / "report" / "page").iterdir()):
        if f"{own}{path.name}" in project:
            shutil.copyfile(path, made / LOOK / path.name)
    _write(made / "_quarto.yml", project.replace(own, f"{LOOK}/"))
    _write(made / "README.md", README.format(name=name, version=__version__, look=LOOK))
    _write(made / ".gitignore", IGNORED)
    _write(made / "_environment.local", f'QUARTO_PYTHON="{sys.executable}"\n')  # for a bare quarto render


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        sync(file.fileno())


def starter() -> Path:
    """Return the folder with report.qmd, _quarto.yml and params: in an installed package, or a checkout."""
    for folder in (PACKAGE / "starter", PACKAGE.parent):
        if (folder / "report.qmd").is_file():
            return folder
    raise InputError(f"{PACKAGE}: its report.qmd is gone. Install Headstart again.")
