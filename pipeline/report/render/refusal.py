"""How the embedded renderer says that it does not know something: what, where, what it knows instead."""

from collections.abc import Iterable

from pipeline.errors import UnsupportedSyntaxError, did_you_mean, one_line


def unsupported(place: str, what: str, known: Iterable[str] = (), name: str = "") -> UnsupportedSyntaxError:
    """Return the error for ``what`` stands at a place such as "report.qmd:12" and is not supported.

    ``known`` are the names that are, of which the closest to ``name`` is suggested.
    """
    names = list(known)
    hint = did_you_mean(name, names) if name else ""
    listed = f"; it knows {', '.join(names)}" if names and not hint else ""
    return UnsupportedSyntaxError(
        f"{place}: {one_line(what, 160)} is not supported by the embedded renderer{listed}.{hint} "
        "Change that line, or install Quarto."
    )
