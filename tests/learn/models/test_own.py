"""Networks of the user's own: trained like any other, or refused in one line with file, line and shapes."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipeline import cli
from pipeline.errors import ModelError
from pipeline.experiment import Experiment, RunSettings
from pipeline.learn import models, train
from pipeline.learn.models import own
from pipeline.plan import plan
from tests.conftest import ROOT
from tests.learn import tiny

HEADER = "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n"
GOOD = (
    HEADER
    + """    def __init__(self, num_classes, width=4):
        super().__init__()
        pool = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.body = nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), *pool)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x):
        return self.head(self.body(x))
"""
)


def settings(code: str, name: str = "Net", **changes: object) -> RunSettings:
    Path("nets").mkdir(exist_ok=True)
    Path("nets/mine.py").write_text(code, encoding="utf-8")
    return tiny.settings(model=f"nets/mine.py:{name}", **changes)


def refusal(code: str, name: str = "Net", **changes: object) -> str:
    with pytest.raises(ModelError) as error:
        own.check(settings(code, name, **changes), classes=10, image_size=8)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_good_network_passes_and_takes_its_arguments(workplace: Path) -> None:
    own.check(settings(GOOD, model_args={"width": 6}), classes=10, image_size=8)

    assert own.make(settings(GOOD, model_args={"width": 6}), 10, 8).head.in_features == 6


LAST = "return self.head(self.body(x))"


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("Linear(width, num_classes)", "Linear(width, 5)", "nets/mine.py:5: Net gives [2, 5] for two images"),
        ("Linear(width, num_classes)", "Linear(width, 5)", "images [2, 3, 8, 8]; expected [2, 10]"),
        ("Linear(width,", "Linear(width + 1,", "nets/mine.py:13: Net cannot be asked about two images [2, 3"),
        ("class Net", "class Nett", "has no nn.Module class 'Net'. Did you mean 'Nett'?"),
        ("num_classes, width=4", "width=4", "nets/mine.py:5: Net takes no 'num_classes'; it takes width"),
        ("return self", "return = self", "nets/mine.py:13: the file cannot be run"),
        ("import torch\n", "import nothing_of_this_name\n", "nets/mine.py:1: the file cannot be run: No"),
        (LAST, f"{LAST}.detach()", "Net cannot be trained"),
        (LAST, f"{LAST}.argmax(1)", "expected [2, 10]"),
        (LAST, "return [x]", "Net gives list for two images"),
    ],
)
def test_what_is_wrong_is_said_with_file_line_and_shapes(
    workplace: Path, right: str, wrong: str, said: str
) -> None:
    assert said in refusal(GOOD.replace(right, wrong))


def test_modes_with_a_new_head_need_one_and_weights(workplace: Path) -> None:
    assert "needs Net to have an attribute 'head'" in refusal(
        GOOD.replace("self.head", "self.last"), mode="linear_probe", weights="w.safetensors"
    )
    assert "set weights to a file" in refusal(GOOD, mode="fine_tune")


def test_a_probe_starts_from_the_weights_of_the_file(workplace: Path) -> None:
    trained = own.make(settings(GOOD), 3, 8)
    save_file(trained.state_dict(), "w.safetensors")
    asked = settings(GOOD, mode="linear_probe", weights="w.safetensors")

    network = own.build(asked, 10, 8, load_weights=True)

    assert torch.equal(network.backbone.body[0].weight, trained.body[0].weight)
    assert [name for name, p in network.named_parameters() if p.requires_grad] == ["head.weight", "head.bias"]


def test_all_broken_networks_of_a_class_are_told_at_once(workplace: Path) -> None:
    Path("nets").mkdir()
    for number in range(10):
        broken = "width + 1" if number in (3, 8) else "width"
        Path(f"nets/s{number}.py").write_text(GOOD.replace("Linear(width", f"Linear({broken}"))
    models_ = "".join(f"- model: nets/s{number}.py:Net\n" for number in range(10))
    Path("x.yaml").write_text(f"image_size: 8\nseeds: [0, 1]\nmodels:\n{models_}")

    with pytest.raises(ModelError) as error:
        plan(Experiment.from_yaml(Path("x.yaml")))

    assert "\n" not in str(error.value)
    assert [name in str(error.value) for name in ("nets/s3.py:13: Net", "nets/s8.py:13: Net")] == [True, True]
    assert str(error.value).count("cannot be asked about two images") == 2


def test_an_edit_of_the_file_makes_a_new_run_and_the_option_refuses_it(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings(GOOD)
    params = Path("x.yaml")
    params.write_text("epochs: 1\nmodels:\n- model: nets/mine.py:Net\n  model_args: {width: 5}\n")
    first = plan(Experiment.from_yaml(params))[0]
    settings(GOOD.replace("nn.ReLU()", "nn.GELU()"))
    second = plan(Experiment.from_yaml(params))[0]

    assert first.run_id != second.run_id
    assert {k for k in first.hashes if first.hashes[k] != second.hashes[k]} == {"source"}
    assert cli.main(["why", "x.yaml", "--no-user-code"]) == 2
    assert "--no-user-code forbids" in capsys.readouterr().err


def test_the_example_learns_the_digits_and_is_short(workplace: Path) -> None:
    path = ROOT / "nets" / "example.py"
    chosen = tiny.settings(model=f"{path}:ExampleNet", model_args={"width": 16}, max_train_images=None,
                           epochs=6, batch_size=64, image_size=8)  # fmt: skip
    images = tiny.images(chosen)
    network = models.build(chosen, images.classes, images.preprocessing)
    about = models.describe(network, chosen, images.preprocessing)

    fitted = train.fit(network, images, chosen, tiny.run(workplace), tiny.CPU)

    assert fitted.history["val_accuracy"].max() > 0.93
    assert about.source == path.read_text(encoding="utf-8")
    assert about.description.startswith("ExampleNet, a network of ")
    assert "trained from scratch" in about.description
    assert [row["name"] for row in about.layers][-1] == "head"
    assert json.dumps(about.layers)
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 30
