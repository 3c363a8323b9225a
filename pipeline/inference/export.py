"""The command ``export``: a network in one file for elsewhere, checked against PyTorch before it is written.

ONNX opset and graph are PyTorch's own (``torch.onnx.export``); int8 is ONNX Runtime's static quantisation,
calibrated on val images.
"""

import io
import json
import logging
import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pipeline import __version__
from pipeline.errors import HeadstartError, InputError, RunError
from pipeline.files import replacing, sync
from pipeline.inference import card
from pipeline.inference.dataset import about
from pipeline.inference.predictor import Predictor
from pipeline.inference.source import Chosen
from pipeline.inference.whole_network import WholeNetwork
from pipeline.learn import speed
from pipeline.record import RunRecord

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}
LIBRARIES = {"onnx": "onnx", "torch": "pytorch"}  # as the Hugging Face Hub calls what reads them
LEAST_AGREEMENT = 0.999  # share of images with the same answer, without which nothing is written
MADE_UP = 256  # images to check with where the data are gone
MOST_CALIBRATION = 512
BATCH = 64

# How the report compares networks by name, bool [1, images] each: rooms do not import each other.
Compare = Callable[[Mapping[str, np.ndarray]], Sequence[Any]]
Run = Callable[[np.ndarray], np.ndarray]  # images uint8 [n, S, S, 3] to probabilities float32 [n, K]


@dataclass(frozen=True)
class Checked:
    """Images uint8 [n, S, S, 3] to check with, their classes int64 [n] where known, and what they are."""

    images: np.ndarray
    target: np.ndarray | None
    what: str


def check_output(path: Path, to: str) -> None:
    """Raise InputError for what cannot be written, or not be made without packages that are missing."""
    if path.suffix != SUFFIXES[to]:
        raise InputError(f"{path}: a file for --to {to} must end in {SUFFIXES[to]}.")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: no such folder to write to.")
    if to == "onnx":
        try:
            import onnx  # noqa: F401
            import onnxruntime  # noqa: F401
            import onnxscript  # noqa: F401
        except ImportError as error:
            raise InputError(
                f"--to onnx needs {error.name}; install it with: pip install 'headstart[export]'."
            ) from None


def export(
    predictor: Predictor,
    output: Path,
    to: str = "onnx",
    int8: bool = False,
    chosen: Chosen | None = None,
    compare: Compare | None = None,
) -> list[str]:
    """Write a network to one file, and its model card; return lines on how it was checked and how fast it is.

    ``predictor`` answers in fp32; with ``chosen`` the card says how it was; what 8 bits cost is tested by
    ``compare`` and kept beside the run for its report. Raises RunError when the file
    would answer otherwise than the network.
    """
    check_output(output, to)
    if int8 and to != "onnx":
        raise InputError("--int8 is for --to onnx alone.")
    network, checked = WholeNetwork(predictor), _images(predictor)
    expected = _in_batches(_ours(predictor), checked.images)
    content, run = _onnx(network, predictor) if to == "onnx" else _torch(network, predictor)
    found = _in_batches(run, checked.images)
    lines = [_parity(output, checked, expected, found)]
    if int8:
        content = _quantised(content, predictor, network.stored_side)
        run = _session(content)
        answers = _in_batches(run, checked.images)
        lines.append(_cost(checked, expected, answers, compare))
    theirs, ours = _latency(predictor, run, checked.images[:1])
    lines.append(
        f"One image takes {1000 * theirs:.2f} ms ({'int8' if int8 else to}); with PyTorch here "
        f"{1000 * ours:.2f} ms."
    )
    lines = [f"{output}: {len(content) / 1e6:,.1f} MB", *lines]
    record, path = predictor.record, card.beside(output)
    chosen = chosen or Chosen(record, f"{record.settings.model}, {record.settings.mode}")
    text = card.card(chosen, lines, LIBRARIES[to])
    write({output: content, path: text.encode()})
    if int8 and checked.target is not None:
        _keep(record, checked.target, answers, bytes=len(content), latency_seconds=theirs, fp32_seconds=ours)
    return [*lines, f"{path}: its model card"]


def _keep(record: RunRecord, target: np.ndarray, answers: np.ndarray, **about: float) -> None:
    """Keep what a network of 8 bits answered to test beside the run: its report then tells of it."""
    table = pd.DataFrame(
        {
            "index": record.split("test").index,
            "target": target,
            "prediction": answers.argmax(axis=1),
            "probability": answers.max(axis=1),
        }
    )
    with suppress(OSError):  # the file is written; a run that cannot be written beside is no reason to fail
        record.write_beside("int8.parquet", table, **about)


def write(contents: Mapping[Path, bytes]) -> None:
    """Write files, all of them whole or none. Raises InputError on a full disk."""
    path = Path()
    try:
        with ExitStack() as stack:
            for path, content in contents.items():
                file = stack.enter_context(replacing(path, "wb"))
                file.write(content)
                file.flush()
                sync(file.fileno())  # before the first of them takes its place
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}. Make room there.") from None


def metadata(predictor: Predictor) -> dict[str, str]:
    """Return what stands in the file besides the network, as text."""
    record, prepared = predictor.record, predictor.prepared
    side, size = prepared.stored_side, prepared.preprocessing.image_size
    return {
        "classes": json.dumps(predictor.classes, ensure_ascii=False),
        "run_id": record.run_id,
        "model": f"{record.settings.model}, {record.settings.mode}",
        "data": record.settings.data_name,
        "data_fingerprint": about(record).fingerprint,
        "input": f"images: uint8 [N, {side}, {side}, 3], RGB; the network sees {size} x {size} pixels",
        "input_height": str(side),
        "input_width": str(side),
        "resize": f"{record.settings.resize}, {prepared.preprocessing.interpolation}",
        "output": "probabilities: float32 [N, K], calibrated",
        "temperature": repr(predictor.temperature),
        "unsure_below": repr(predictor.unsure_below.confidence),
        "val_accuracy": repr(float(record.split("val").correct.mean())),
        "test_accuracy": repr(float(record.split("test").correct.mean())),
        "made_by": f"headstart {__version__}, torch {torch.__version__}",
    }


def _images(predictor: Predictor) -> Checked:
    """Return all test images; where the data are gone, made-up ones."""
    try:
        test = predictor.data.test
        images = test.pixels.cpu().numpy()
        return Checked(images, test.targets.cpu().numpy(), f"all {len(images):,} test images")
    except HeadstartError:
        side = predictor.prepared.stored_side
        made = np.random.default_rng(0).integers(0, 256, (MADE_UP, side, side, 3), dtype=np.uint8)
        return Checked(made, None, f"{MADE_UP} made-up images, as the run's data are gone")


def _in_batches(run: Run, images: np.ndarray) -> np.ndarray:
    return np.concatenate([run(images[i : i + BATCH]) for i in range(0, len(images), BATCH)])


def _ours(predictor: Predictor) -> Run:
    return lambda images: predictor.answer(torch.from_numpy(np.ascontiguousarray(images))).probability


def _program(network: WholeNetwork) -> torch.export.ExportedProgram:
    side = network.stored_side
    example = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    count = torch.export.Dim("N", min=1)
    with torch.no_grad():
        return torch.export.export(network, (example,), dynamic_shapes={"images": {0: count}})


def _torch(network: WholeNetwork, predictor: Predictor) -> tuple[bytes, Run]:
    with _quiet():
        program, file = _program(network), io.BytesIO()
        torch.export.save(program, file, extra_files={"metadata.json": json.dumps(metadata(predictor))})
        again = torch.export.load(io.BytesIO(file.getvalue())).module()
    return file.getvalue(), lambda images: _numpy(again(torch.from_numpy(np.ascontiguousarray(images))))


def _numpy(answers: Tensor) -> np.ndarray:
    return answers.detach().numpy()


def _onnx(network: WholeNetwork, predictor: Predictor) -> tuple[bytes, Run]:
    with _quiet():
        made = torch.onnx.export(
            _program(network),
            input_names=["images"],
            output_names=["probabilities"],
            dynamo=True,
            verbose=False,
        )
    assert made is not None
    proto = made.model_proto
    _name_batches(proto.graph)
    for key, value in metadata(predictor).items():
        proto.metadata_props.add(key=key, value=value)
    content = proto.SerializeToString()
    return content, _session(content)


def _name_batches(graph: Any) -> None:
    """Call the number of images N, for which PyTorch's exporter has a name of its own."""
    own = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if own and own in dim.dim_param:
                dim.dim_param = dim.dim_param.replace(own, "N")


def _session(content: bytes) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["probabilities"], {"images": images})[0]


def _quantised(content: bytes, predictor: Predictor, side: int) -> bytes:
    """Return the network with weights and activations of 8 bits, whose ranges are those on val images.

    Weights take 7 of their bits: processors with AVX2 and without VNNI add pairs of products in 16 bits,
    which full weights overflow (25 points of accuracy on digits), as ONNX Runtime's own pages say.
    """
    from onnxruntime import quantization

    val = predictor.data.val.pixels.cpu().numpy()
    chosen = val[np.linspace(0, len(val) - 1, min(len(val), MOST_CALIBRATION)).round().astype(int)]

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.batches: Iterator[dict[str, Any]] = (
                {"images": chosen[i : i + BATCH]} for i in range(0, len(chosen), BATCH)
            )

        def get_next(self) -> dict[str, Any] | None:
            return next(self.batches, None)

    with tempfile.TemporaryDirectory() as folder, _quiet():
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        before.write_bytes(content)
        quantization.quantize_static(
            before, after, Reader(), per_channel=True, reduce_range=True,
            op_types_to_quantize=["Conv", "Gemm", "MatMul"],
        )  # fmt: skip
        return after.read_bytes()


@contextmanager
def _quiet() -> Iterator[None]:
    """Within the block, the remarks of exporters on their own internals are not heard."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _parity(output: Path, checked: Checked, expected: np.ndarray, found: np.ndarray) -> str:
    """Say how far two sets of probabilities agree. Raises RunError when they do not."""
    same = float((expected.argmax(axis=1) == found.argmax(axis=1)).mean())
    largest = float(np.abs(expected - found).max())
    text = f"the same answer as PyTorch on {100 * same:.2f} % of {checked.what}"
    if not same >= LEAST_AGREEMENT:
        raise RunError(f"{output}: not written: {text}, and {100 * LEAST_AGREEMENT} % are needed.")
    return f"Checked: {text}; the largest difference of a probability is {largest:.1e}."


def _cost(checked: Checked, before: np.ndarray, after: np.ndarray, compare: Compare | None) -> str:
    """Say what 8 bits cost: by the report's own test, on the same images."""
    if checked.target is None:
        same = (before.argmax(axis=1) == after.argmax(axis=1)).mean()
        return f"int8: the same answer on {100 * same:.1f} % of {checked.what}."
    right, still = (p.argmax(axis=1) == checked.target for p in (before, after))
    text = (
        f"int8: accuracy {100 * still.mean():.2f} % instead of {100 * right.mean():.2f} % on {checked.what}"
    )
    if compare is None:
        return f"{text}."
    test = compare({"int8": still[None], "fp32": right[None]})[0]
    verdict = {"first": "better", "second": "worse"}.get(test.verdict, test.verdict)
    return (
        f"{text}: {100 * test.difference:+.2f} points, 95 % interval {100 * test.low:+.2f} to "
        f"{100 * test.high:+.2f}, p = {test.p:.2g}: {verdict}."
    )


def _latency(predictor: Predictor, run: Run, image: np.ndarray) -> tuple[float, float]:
    """Return what one image alone takes, from pixels to probabilities, here and now: the file, PyTorch."""
    works = [lambda ask=ask: ask(image) for ask in (run, _ours(predictor))]
    theirs, ours = speed.in_turn(works, predictor.hardware)
    return statistics.median(theirs), statistics.median(ours)
