"""Bring every image of a document into the work folder, where both writers look for it."""

import base64
import hashlib
import re
import shutil
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes

from pipeline.report.embedded.origins import Origins
from pipeline.report.embedded.tree import Node, node, walk

DATA_URI = re.compile(r"data:image/(?P<kind>[a-z]+)[^,;]*?(?P<base64>;base64)?,(?P<content>.*)", re.DOTALL)
SUFFIXES = {".svg", ".png", ".jpg", ".jpeg", ".gif", ".webp"}


def gather_images(blocks: list[Node], root: Path, folder: Path, origins: Origins) -> list[Node]:
    """Return blocks whose images are files in ``folder``; paths start from ``root``.

    Raises RenderError with the line for an image that is missing or of an unknown kind.
    """

    def visit(element: Node) -> list[Node]:
        if element["t"] != "Image":
            return [element]
        attributes, alternative, (source, title) = element["c"]
        return [node("Image", attributes, alternative, [_gathered(source, root, folder, origins), title])]

    gathered: list[Node] = walk(blocks, visit)
    return gathered


def _gathered(source: str, root: Path, folder: Path, origins: Origins) -> str:
    if (folder / source).is_file():
        return source
    if match := DATA_URI.match(source):
        suffix, content = f".{match['kind']}", match["content"]
        data = base64.b64decode(content) if match["base64"] else unquote_to_bytes(content)
        return _stored(data, suffix, folder)
    path = root / unquote(source)
    if path.suffix.lower() not in SUFFIXES:
        raise origins.wrong(f"the image '{source}' is none of {', '.join(sorted(SUFFIXES))}.", source)
    if not path.is_file():
        raise origins.wrong(f"the image '{source}' is not a file; mend its path.", source)
    target = f"figures/{hashlib.sha256(str(path).encode()).hexdigest()[:16]}{path.suffix.lower()}"
    shutil.copyfile(path, folder / target)
    return target


def _stored(data: bytes, suffix: str, folder: Path) -> str:
    target = f"figures/{hashlib.sha256(data).hexdigest()[:16]}{suffix}"
    (folder / target).write_bytes(data)
    return target
