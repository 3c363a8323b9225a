"""Networks of the user's own: ``nets/my_net.py:MyNet``, any ``nn.Module`` class that takes ``num_classes``.

It may take ``image_size`` as well, and what ``model_args`` gives. In mode ``scratch`` it is trained as it
is. In ``linear_probe`` and ``fine_tune`` it must have ``head``, its last linear layer, which is made anew,
and start from a file of ``weights``. Naming such a file in a params file runs the code in it.
"""

import hashlib
import importlib.machinery
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ModelError, did_you_mean, one_line
from pipeline.experiment import RunSettings

if TYPE_CHECKING:
    from torch import nn

FORBIDDEN = "HEADSTART_NO_USER_CODE"
REPLACED = "head"  # the attribute that is the last linear layer
CHECKED_IMAGES = 2


class _AsItStands(importlib.machinery.SourceFileLoader):
    """Reads the text alone: bytecode kept beside it may be of another text of the same second and length."""

    def path_stats(self, path: str) -> Mapping[str, Any]:
        """Know no time, so that bytecode is neither read nor written."""
        raise OSError(f"{path}: is read anew")


def source(settings: RunSettings) -> str:
    """Return the text of the file that defines a network. Raises ModelError where it cannot be read."""
    path = _file(settings)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"model {settings.model}: {path} cannot be read: {one_line(error, 120)}.") from None


def source_hash(settings: RunSettings) -> str:
    """Return a hash of that text, which is part of a run's identity."""
    return hashlib.sha256(source(settings).encode()).hexdigest()


def class_name(settings: RunSettings) -> str:
    return settings.model.rpartition(":")[2]


def _file(settings: RunSettings) -> Path:
    path = Path(settings.model.rpartition(":")[0])
    if not path.is_file():
        beside = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        hint = did_you_mean(path.name, beside)
        raise ModelError(f"model {settings.model}: no file {path} here ({Path.cwd()}).{hint}")
    return path


def load(settings: RunSettings) -> type:
    """Run the file of a network and return its class. Raises ModelError, with file and line, if it cannot."""
    from torch import nn

    if os.environ.get(FORBIDDEN):
        raise ModelError(
            f"model {settings.model}: {_file(settings)} is code, and --no-user-code forbids to run it; leave "
            "the option out if you trust the file."
        )
    path, name = _file(settings), class_name(settings)
    module_name = f"own_{source_hash(settings)[:12]}"
    spec = importlib.util.spec_from_file_location(
        module_name, path, loader=_AsItStands(module_name, str(path))
    )
    if spec is None or spec.loader is None:
        raise ModelError(f"{path}: is no Python file.")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (it may raise anything)
        raise ModelError(f"{_where(error, path)}: the file cannot be run: {_text(error)}.") from None
    found = getattr(module, name, None)
    if not (inspect.isclass(found) and issubclass(found, nn.Module)):
        classes = [
            key
            for key, value in vars(module).items()
            if inspect.isclass(value) and issubclass(value, nn.Module)
        ]
        known = ", ".join(classes) or "none"
        hint = did_you_mean(name, classes)
        raise ModelError(f"{path}: has no nn.Module class {name!r}.{hint} Its classes of networks: {known}.")
    return found


def make(settings: RunSettings, classes: int, image_size: int) -> "nn.Module":
    """Return the network, randomly initialised. Raises ModelError, with file and line, if it fails."""
    kind, path = load(settings), _file(settings)
    given: dict[str, Any] = {"num_classes": classes, **settings.model_args}
    accepted = inspect.signature(kind).parameters
    if "image_size" in accepted and "image_size" not in given:
        given["image_size"] = image_size
    open_ended = any(p.kind is p.VAR_KEYWORD for p in accepted.values())
    if unknown := [key for key in given if key not in accepted and not open_ended]:
        raise ModelError(
            f"{path}:{_line(kind)}: {kind.__name__} takes no {unknown[0]!r}; it takes "
            f"{', '.join(accepted) or 'nothing'}. A network takes num_classes, and image_size and "
            "model_args where it names them."
        )
    try:
        return kind(**given)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (it may raise anything)
        shown = ", ".join(f"{key}={value!r}" for key, value in given.items())
        raise ModelError(
            f"{_where(error, path)}: {kind.__name__}({one_line(shown, 120)}) failed: {_text(error)}."
        ) from None


def build(settings: RunSettings, classes: int, image_size: int, load_weights: bool) -> "nn.Module":
    """Return what a run trains: the network as it is, or with a new head on its weights."""
    from torch import nn

    from pipeline.learn.models import weights
    from pipeline.learn.models.transfer import OwnNetwork, TransferNetwork, replace_module

    network = make(settings, classes, image_size)
    if settings.mode == "scratch":
        return OwnNetwork(network)
    head = getattr(network, REPLACED, None)
    if not isinstance(head, nn.Linear):
        raise ModelError(
            f"{_file(settings)}:{_line(type(network))}: mode {settings.mode} needs {class_name(settings)} to "
            f"have an attribute {REPLACED!r} that is its last nn.Linear; found {type(head).__name__}. "
            "Use mode scratch."
        )
    if not weights.is_file_name(settings.weights):
        raise ModelError(
            f"model {settings.model}: mode {settings.mode} starts from weights; set weights to a file of its "
            "tensors."
        )
    replace_module(network, REPLACED, nn.Identity())
    if load_weights:
        state = weights.read_state(Path(str(settings.weights)))
        kept = {key: value for key, value in state.items() if not key.startswith(f"{REPLACED}.")}
        weights.load_state(network, kept, weights.source(settings))
    return TransferNetwork(network, head.in_features, classes, settings)


def check(settings: RunSettings, classes: int, image_size: int) -> None:
    """Raise ModelError unless two images go forward through the network and a gradient comes back."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(settings.seed)
        network, path = build(settings, classes, image_size, load_weights=True), _file(settings)
        images = torch.randn(CHECKED_IMAGES, 3, image_size, image_size)
        shown, wanted = list(images.shape), [CHECKED_IMAGES, classes]
        name = class_name(settings)
        try:
            logits = network.train()(images)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (it may raise anything)
            raise ModelError(
                f"{_where(error, path)}: {name} cannot be asked about two images {shown}: {_text(error)}. It "
                f"must give logits {wanted}."
            ) from None
        found = list(getattr(logits, "shape", [])) or type(logits).__name__
        line = f"{path}:{_line(load(settings))}"
        if found != wanted:
            raise ModelError(
                f"{line}: {name} gives {found} for two images {shown}; expected {wanted}, one logit for each "
                f"of {classes} classes."
            )
        try:
            torch.nn.functional.cross_entropy(logits, torch.arange(CHECKED_IMAGES) % classes).backward()
        except RuntimeError as error:
            raise ModelError(f"{line}: {name} cannot be trained: {_text(error)}.") from None
        if not any(p.grad is not None for p in network.parameters()):
            raise ModelError(f"{line}: {name} has no parameter that training could change.")
        if not bool(torch.isfinite(logits).all()):
            raise ModelError(f"{line}: {name} gives logits that are not finite before any training.")


def _line(kind: type) -> int:
    try:
        return inspect.getsourcelines(kind)[1]
    except (OSError, TypeError):
        return 1


def _where(error: BaseException, path: Path) -> str:
    """Return the file and the last line in it that an error passed through."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f"{path}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    return f"{path}:{lines[-1]}" if lines else str(path)


def _text(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return one_line(text or type(error).__name__, 200).rstrip(".")
