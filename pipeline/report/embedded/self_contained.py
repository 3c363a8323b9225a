"""Make an HTML page hold its images, and prove that it asks for nothing else."""

import base64
import re
from html import unescape
from pathlib import Path
from urllib.parse import unquote

from pipeline.errors import RenderError, one_line

# Scripts are matched to be left alone: they may write tags of their own.
IMAGE = re.compile(
    r'<script\b.*?</script>|(<img\s[^>]*?\bsrc=")(?!data:)([^"]+)(")', re.DOTALL | re.IGNORECASE
)
TYPES = {".svg": "svg+xml", ".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp"}
SCRIPT = re.compile(r"(<script\b[^>]*>).*?</script>", re.DOTALL | re.IGNORECASE)

# Attributes and styles that make a browser fetch something; a plain link does not.
REQUEST = re.compile(
    r"<(?:img|script|iframe|source|video|audio|embed|object|link|use|image|input)\b[^<>]*?\s"
    r"""(?:src|href|srcset|data|poster|xlink:href)\s*=\s*["']?(?!data:|\#|["'])(?P<tag>[^"'\s>]+)"""
    r"""|@import\s+(?:url\()?["']?(?!data:)(?P<style>[^"')\s;]+)"""
    r"""|url\(\s*["']?(?:https?:)?//(?P<url>[^"')\s]+)""",
    re.IGNORECASE,
)


def embed_images(page: str, folders: tuple[Path, ...]) -> str:
    """Return the page with each image file, looked for in ``folders``, inside it as base64."""

    def embedded(match: re.Match[str]) -> str:
        opening, source, closing = match.groups()
        return f"{opening}{_data_uri(unescape(source), folders)}{closing}" if source else match[0]

    return IMAGE.sub(embedded, page)


def refuse_requests(page: str) -> None:
    """Raise RenderError when a browser would fetch anything to show the page."""
    found = REQUEST.search(SCRIPT.sub(r"\1</script>", page))
    if found:
        target = found["tag"] or found["style"] or found["url"]
        raise RenderError(
            f"The page would ask for {one_line(target, 80)}, but must hold all it needs; put that file's "
            "content into the page."
        )


def _data_uri(source: str, folders: tuple[Path, ...]) -> str:
    kind = TYPES.get(Path(source).suffix.lower())
    path = next(
        (
            folder / name
            for folder in folders
            for name in (source, unquote(source))
            if (folder / name).is_file()
        ),
        None,
    )
    if kind is None or path is None:
        allowed = ", ".join(TYPES)
        problem = "is not a file" if kind else f"is no image of a known kind ({allowed})"
        raise RenderError(f"The image {one_line(source, 80)} {problem}, so it cannot be put into the page.")
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
