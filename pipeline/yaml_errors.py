"""What is said about a params file that cannot be used: each time one line, with the place and a remedy.

PyYAML, made stricter: its marks give the line of every problem. ruamel.yaml would refuse duplicate keys and
read 3e-4 by itself, but aliases, tags and keys that are lists need the same code, and its messages span
several lines.
"""

import math
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic_core import ErrorDetails

from pipeline.errors import SettingsError, did_you_mean, one_line
from pipeline.files import as_on_disk

MAX_PARAMS_BYTES = 1_000_000
PARAMS, SUFFIXES = Path("params"), (".yaml", ".yml")
COLONS = "a key needs a space after its colon, and text that holds a colon needs quotes"
# What web pages and word processors write in the place of what YAML reads.
LOOKALIKES = {
    "\u00a0": "a no-break space",
    "\u3000": "a wide space",
    "\uff1a": "a wide colon",
    "\uff0c": "a wide comma",
    "\u201c": "a curly quote",
    "\u201d": "a curly quote",
    "\u2018": "a curly quote",
    "\u2019": "a curly quote",
}
# What other programs call a key.
OTHER_NAMES = {
    "lr": "learning_rate",
    "wd": "weight_decay",
    "bs": "batch_size",
    "img_size": "image_size",
    "input_size": "image_size",
    "pretrained": "mode",
    "freeze": "mode",
    "finetune": "mode",
    "data": "data_dir",
    "root": "data_dir",
    "path": "data_dir",
    "transforms": "augmentation",
    "output_dir": "runs_dir",
}
BACKSLASHES = "in double quotes a backslash begins a special character: use single quotes or forward slashes"


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader without aliases (YAML bombs) and without duplicate keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()
            raise yaml.MarkedYAMLError(
                problem="aliases (*name) are not allowed; write the value out",
                problem_mark=event.start_mark,
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem="a key must be plain text", problem_mark=key_node.start_mark
                )
            if key_node.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"duplicate key {one_line(key_node.value, 60)!r}",
                    problem_mark=key_node.start_mark,
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


# YAML 1.1 reads 3e-4 as text; people write it, so read it as the number they meant.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file, read safely.

    Raises SettingsError when it is missing, too large, not UTF-8 or not a mapping.
    """
    path = as_on_disk(path)
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode) and not path.is_dir():
            raise SettingsError(f"{path}: is a device or a pipe; give the path of a params file.")
        if about.st_size > MAX_PARAMS_BYTES:
            raise SettingsError(
                f"{path}: larger than {MAX_PARAMS_BYTES:,} bytes, which no params file needs to be."
            )
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, Loader=_StrictLoader)
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file.{_other_file(path)}") from None
    except IsADirectoryError:
        raise SettingsError(f"{path}: is a folder; give the path of a params file in it.") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8.") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}.") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: {_yaml_problem(error, text)}") from None
    except RecursionError:
        raise SettingsError(f"{path}: is nested too deeply.") from None
    except ValueError:  # Python reads no whole number of more than 4,300 digits, nor the 31st of February
        raise SettingsError(f"{path}: holds a number or a date that cannot be.") from None
    if content is None:
        raise SettingsError(f"{path}: is empty; it needs at least a list of models.")
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: holds {kind(content)}; it must be keys and values.")
    return content


def _other_file(path: Path) -> str:
    """Return which params file may be meant: one of that name here or in params, or one of a name like it."""
    same = (folder / f"{path.stem}{suffix}" for folder in (path.parent, PARAMS) for suffix in SUFFIXES)
    if found := next((other for other in same if other.is_file()), None):
        return f" Did you mean '{found}'?"
    nearby = sorted(str(p) for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
    return did_you_mean(str(path), nearby) or " Give the path of a params file, as params/demo.yaml."


def _yaml_problem(error: yaml.YAMLError, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = one_line(getattr(error, "problem", None) or error, 200)
    if "\\t" in problem or "'\t'" in problem:
        problem = "a tab is used for indentation; use spaces"
    if problem == "but found another document":
        problem = "a second document begins; keep one"
    if tag := re.fullmatch("could not determine a constructor for the tag (.*)", problem):
        problem = f"the tag {tag.group(1)} is not allowed; write a plain value"
    if "escape" in problem:
        problem = f"{problem}; {BACKSLASHES}"
    if mark and re.match(r"\s*\w+\s*=", text.splitlines()[mark.line]):
        problem = "a key takes a colon, as epochs: 3"
    if problem == "mapping values are not allowed here":
        problem = _lookalike(text.splitlines()[: mark.line + 1] if mark else []) or COLONS
    where = f"line {mark.line + 1}: " if mark else ""
    return f"{where}{problem}."


def _lookalike(lines: Sequence[str]) -> str:
    """Return what was written in the place of what YAML reads, of the last two lines read; often nothing."""
    written = "".join(lines[-2:])
    found = next((what for character, what in LOOKALIKES.items() if character in written), "")
    return f"{found}, as web pages have it, is no part of YAML: type it anew" if found else ""


def explain(details: ErrorDetails) -> str:
    """Return "key is value; it must be ..." for one pydantic error."""
    key = "".join(f"[{part}]" if isinstance(part, int) else part for part in details["loc"])
    if details["type"] == "value_error":
        message = str(details["ctx"]["error"])
        return f"{key} {message}." if key else f"{message}."
    if key == "seed" and isinstance(details["input"], list):
        return f"seed is {shown(details['input'])}; several go into seeds, as seeds: [0, 1, 2]."
    if key == "device" and (gpu := re.fullmatch(r"cuda:(\d+)", str(details["input"]))):
        return f"device is '{gpu[0]}'; write cuda, and choose the GPU by CUDA_VISIBLE_DEVICES={gpu[1]}."
    return f"{key} is {shown(details['input'])}; it must be {_allowed(details)}."


def _allowed(details: ErrorDetails) -> str:
    problem, context = details["type"], details.get("ctx", {})
    plain = {
        "int_type": "a whole number",
        "int_parsing": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "float_parsing": "a number",
        "finite_number": "a finite number",
        "bool_type": "true or false",
        "bool_parsing": "true or false",
        "string_type": "text (put it in quotes)",
        "string_too_short": "text that is not empty",
        "list_type": "a list",
        "string_too_long": f"text of at most {context.get('max_length')} characters",
        "too_short": "a list that is not empty",
        "too_long": f"a list of at most {context.get('max_length')}",
        "literal_error": f"one of {context.get('expected', '')}".replace("' or '", "', '"),
    }
    bounds = {
        "greater_than": ("gt", "more than"),
        "greater_than_equal": ("ge", "at least"),
        "less_than": ("lt", "less than"),
        "less_than_equal": ("le", "at most"),
    }
    if problem in bounds:
        key, words = bounds[problem]
        return f"{words} {context[key]:.12g}"
    return plain.get(problem, one_line(details["msg"], 120))


def refuse_unknown_keys(path: Path, where: str, content: dict[Any, Any], known: tuple[str, ...]) -> None:
    """Raise SettingsError for a key that is not known, with the closest that is."""
    for key in content:
        if key not in known:
            hint = _hint(str(key), known)
            raise SettingsError(f"{path}: {where}unknown key {shown(key)}.{hint}")


def _hint(key: str, known: tuple[str, ...]) -> str:
    """Return what to write in the place of an unknown key."""
    if ":" in key or any(character in key for character in LOOKALIKES):
        lookalike = _lookalike([key])
        return f" {lookalike[0].upper()}{lookalike[1:]}." if lookalike else f" {COLONS.capitalize()}."
    other = OTHER_NAMES.get(key.lower())
    if other in known:
        return f" Did you mean {other!r}?"
    return did_you_mean(key, known) or f" Known keys: {', '.join(known)}."


def shown(value: object) -> str:
    """Return a value as messages quote it."""
    if isinstance(value, float) and not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    return one_line(repr(value), 60)


def kind(value: object) -> str:
    """Return what sort of value was found, in words."""
    names = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false"}
    return names.get(type(value), "empty" if value is None else f"a {type(value).__name__}")
