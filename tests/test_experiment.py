"""A params file becomes an Experiment, or one line that says what is wrong with it."""

import json
from pathlib import Path

import papermill
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SettingsError, did_you_mean
from pipeline.experiment import EXPERIMENT_KEYS, Experiment, RunSettings
from pipeline.source import NOTEBOOK
from pipeline.yaml_errors import read_yaml
from tests.conftest import ROOT

ONE_MODEL = "models: [{model: custom_cnn}]\n"


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def message(folder: Path, text: str | bytes) -> str:
    with pytest.raises(SettingsError) as caught:
        Experiment.from_yaml(write(folder, text))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value).removeprefix(f"{folder / 'x.yaml'}: ")


@pytest.mark.parametrize("path", sorted((ROOT / "params").glob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_params_file_is_valid_and_can_be_kept(path: Path, tmp_path: Path) -> None:
    experiment = Experiment.from_yaml(path)

    assert experiment.name == path.stem
    assert experiment.runs
    (tmp_path / "asked.json").write_text(experiment.model_dump_json(), encoding="utf-8")
    assert Experiment.as_asked(tmp_path / "asked.json") == experiment


def test_top_level_key_is_default_and_model_entry_overrides_it(tmp_path: Path) -> None:
    text = "epochs: 3\nmodels: [{model: custom_cnn}, {model: resnet18, epochs: 7}]"

    runs = Experiment.from_yaml(write(tmp_path, text)).runs

    assert [run.epochs for run in runs] == [3, 7]


def test_seeds_multiply_models_in_order(tmp_path: Path) -> None:
    text = "seeds: [2, 5]\nmodels: [custom_cnn, {model: resnet18}, {model: vgg16, seed: 9}]"

    experiment = Experiment.from_yaml(write(tmp_path, text))

    assert [(r.model, r.seed) for r in experiment.runs] == [
        ("custom_cnn", 2),
        ("custom_cnn", 5),
        ("resnet18", 2),
        ("resnet18", 5),
        ("vgg16", 9),
    ]
    assert [len(group) for group in experiment.models] == [2, 2, 1]


def test_every_model_and_seed_runs_at_every_size(tmp_path: Path) -> None:
    params = "seeds: [0, 1]\ntrain_sizes: [100, all]\nmodels: [custom_cnn, {model: vgg16, train_sizes: [50]}]"
    runs = Experiment.from_yaml(write(tmp_path, params)).runs

    assert [(run.model, run.train_size, run.seed) for run in runs] == [
        ("custom_cnn", 100, 0), ("custom_cnn", 100, 1), ("custom_cnn", None, 0), ("custom_cnn", None, 1),
        ("vgg16", 50, 0), ("vgg16", 50, 1),
    ]  # fmt: skip


def test_run_on_all_images_is_the_same_with_sizes_and_without(tmp_path: Path) -> None:
    (plain,) = Experiment.from_yaml(write(tmp_path, ONE_MODEL)).runs
    sized = Experiment.from_yaml(
        write(tmp_path, "train_sizes: [100, all]\nbudget: epochs\n" + ONE_MODEL)
    ).runs

    assert sized[1].identity() == plain.identity()
    assert "train_size" not in plain.identity()
    assert sized[0].identity()["budget"] == "epochs"


def test_exponent_without_point_is_a_number(tmp_path: Path) -> None:
    experiment = Experiment.from_yaml(write(tmp_path, "learning_rate: 3e-4\n" + ONE_MODEL))

    assert experiment.runs[0].learning_rate == 3e-4


def test_notebook_parameters_equal_run_settings() -> None:
    parameters = papermill.inspect_notebook(str(NOTEBOOK))

    assert list(parameters) == list(RunSettings.model_fields)
    for name, field in RunSettings.model_fields.items():
        default = parameters[name]["default"]
        assert eval(default) == field.default, name
        assert parameters[name]["help"] == field.description, name


def test_notebook_is_thin() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]

    for source in code[1:]:  # the first is the parameters
        assert len(source.splitlines()) <= 5
        assert not any(word in source for word in ("def ", "class ", "for ", "while "))


BAD_PARAMS: list[tuple[str | bytes, str]] = [
    ("learnin_rate: 1\n" + ONE_MODEL, "unknown key 'learnin_rate'. Did you mean 'learning_rate'?"),
    (
        "models: [{model: custom_cnn, epoch: 3}]",
        "models[0]: unknown key 'epoch'. Did you mean 'epochs'?",
    ),
    (
        "models: [{model: a}, {model: b}, {model: c, batch_size: 0}]",
        "models[2]: batch_size is 0; it must be at least 1.",
    ),
    ("epochs: 2.5\n" + ONE_MODEL, "epochs is 2.5; it must be a whole number."),
    ("epochs: many\n" + ONE_MODEL, "epochs is 'many'; it must be a whole number."),
    ("epochs: true\n" + ONE_MODEL, "epochs is True; it must be a whole number."),
    ("epochs: -1\n" + ONE_MODEL, "epochs is -1; it must be at least 1."),
    ("epochs:\n" + ONE_MODEL, "epochs is None; it must be a whole number."),
    ("learning_rate: .nan\n" + ONE_MODEL, "learning_rate is not a number; it must be a finite number."),
    ("learning_rate: .inf\n" + ONE_MODEL, "learning_rate is infinite; it must be a finite number."),
    ("learning_rate: 0\n" + ONE_MODEL, "learning_rate is 0; it must be more than 0."),
    ("learning_rate: fast\n" + ONE_MODEL, "learning_rate is 'fast'; it must be a number."),
    ("val_fraction: 1\n" + ONE_MODEL, "val_fraction is 1; it must be less than 1."),
    ("val_fraction: 0\n" + ONE_MODEL, "val_fraction is 0; it must be more than 0."),
    ("momentum: 1.5\n" + ONE_MODEL, "momentum is 1.5; it must be less than 1."),
    (
        "optimizer: lion\n" + ONE_MODEL,
        "optimizer is 'lion'; it must be one of 'sgd', 'adam', 'adamw', 'muon'.",
    ),
    (
        "precision: fp8\n" + ONE_MODEL,
        "precision is 'fp8'; it must be one of 'auto', 'fp32', 'bf16', 'fp16'.",
    ),
    ("augmentation: crop\n" + ONE_MODEL, "augmentation is 'crop'; it must be a list."),
    (
        "augmentation: [rotate]\n" + ONE_MODEL,
        "augmentation[0] is 'rotate'; it must be one of 'crop', 'flip', 'alternating_flip', "
        "'vertical_flip', 'rotation', 'color_jitter', 'random_erasing', 'rand_augment', 'mixup', 'cutmix'.",
    ),
    ("image_size: 4\n" + ONE_MODEL, "image_size is 4; it must be at least 8."),
    ("image_size: 100000\n" + ONE_MODEL, "image_size is 100000; it must be at most 1024."),
    ("widths: []\n" + ONE_MODEL, "widths is []; it must be a list that is not empty."),
    ("dataset: 3\n" + ONE_MODEL, "dataset is 3; it must be text (put it in quotes)."),
    ("dataset: ''\n" + ONE_MODEL, "dataset is ''; it must be text that is not empty."),
    ("title: 3\n" + ONE_MODEL, "title is 3; it must be text of at most 2,000 characters."),
    ("nesterov: perhaps\n" + ONE_MODEL, "nesterov is 'perhaps'; it must be true or false."),
    ("seeds: 3\n" + ONE_MODEL, "seeds is 3; it must be a list of different whole numbers, as [0, 1, 2]."),
    (
        "seeds: [1, 1]\n" + ONE_MODEL,
        "seeds is [1, 1]; it must be a list of different whole numbers, as [0, 1, 2].",
    ),
    (
        "seeds: []\n" + ONE_MODEL,
        "seeds is []; it must be a list of different whole numbers, as [0, 1, 2].",
    ),
    ("seed: 1\nseeds: [1]\n" + ONE_MODEL, "both seed and seeds are given; keep one."),
    (
        "train_sizes: 3\n" + ONE_MODEL,
        "train_sizes is 3; name sizes, as [100, 300, 1000, all], or leave it out.",
    ),
    ("train_sizes: [0]\n" + ONE_MODEL, "train_sizes holds 0; each must be a positive integer, or all."),
    ("train_sizes: [9, 9]\n" + ONE_MODEL, "train_sizes: 9 follows 9; sizes must rise, each once, all last."),
    (
        "train_sizes: [9, all, all]\n" + ONE_MODEL,
        "train_sizes: all follows all; sizes must rise, each once, all last.",
    ),
    (
        "models: [{model: custom_cnn, train_sizes: [300, 100]}]",
        "models[0]: train_sizes: 100 follows 300; sizes must rise, each once, all last.",
    ),
    ("train_size: 5\ntrain_sizes: [9]\n" + ONE_MODEL, "both train_size and train_sizes are given; keep one."),
    ("epochs: 3", "models is missing; it must be a list of at least one, as '- {model: custom_cnn}'."),
    ("models: []", "models is []; it must be a list of at least one, as '- {model: custom_cnn}'."),
    (
        "models: custom_cnn",
        "models is 'custom_cnn'; it must be a list of at least one, as '- {model: custom_cnn}'.",
    ),
    ("models: [3]", "models[0]: is a number; it must be keys and values, as {model: custom_cnn}."),
    (
        "models: [custom_cnn, custom_cnn]",
        "models asks for custom_cnn (scratch, seed 0) twice with the same settings; drop one or "
        "change a setting.",
    ),
    (
        "models: [{model: custom_cnn, mode: fine_tune}]",
        "models[0]: mode is 'fine_tune', but custom_cnn has no pretrained weights; use mode scratch or "
        "another model.",
    ),
    (
        "models: [{model: resnet18, weights: w.pth}]",
        "models[0]: weights are given, but mode scratch starts without any; drop one.",
    ),
    (
        "tuning: 3\n" + ONE_MODEL,
        "tuning is 3; it must name a budget, as tuning: {trials: 12} or tuning: {minutes: 30}.",
    ),
    ("tuning: {trials: 0}\n" + ONE_MODEL, "tuning: trials is 0; it must be a whole number from 1 to 1,000."),
    ("tuning: {minutes: -1}\n" + ONE_MODEL, "tuning: minutes is -1; it must be a number of more than 0."),
    ("tuning: {trials: 2, minutes: 3}\n" + ONE_MODEL, "tuning: both trials and minutes are given; keep one."),
    ("tuning: {trails: 2}\n" + ONE_MODEL, "tuning: unknown key 'trails'. Did you mean 'trials'?"),
    (
        "tuning: {trials: 2}\ntune: {learning_rate: [0.1, 0.01]}\n" + ONE_MODEL,
        "tune: learning_rate runs from 0.1 to 0.01; the first must be the lower.",
    ),
    (
        "tuning: {trials: 2}\ntune: {learning_rate: false, weight_decay: false}\n" + ONE_MODEL,
        "tune leaves nothing to search; leave tuning or that entry out.",
    ),
    (
        "tuning: {trials: 2}\nmodels: [{model: custom_cnn, tune: {learning_rate: 0.1}}]",
        "models[0]: tune: learning_rate is 0.1; it must be [low, high], or false to keep it.",
    ),
    (
        "tuning: {trials: 2}\nmodels: [{model: custom_cnn, tune: {head_epochs: [1, 2]}}]",
        "models[0]: tune: head_epochs has no effect there; leave it out.",
    ),
    (
        "tuning: {trials: 2}\nmodels: [{model: custom_cnn, tune: {weight_decay: [0, 1]}}]",
        "models[0]: tune: weight_decay begins at 0; powers are searched, so it must be more than 0.",
    ),
    (
        "tuning: {trials: 2}\nmodels: [custom_cnn, {model: custom_cnn, learning_rate: 0.1}]",
        "models[0] and models[1] differ in nothing but what tuning searches; drop one.",
    ),
    (
        "class_weights: balanced\nsampler: balanced\n" + ONE_MODEL,
        "models[0]: class_weights and sampler both balance the classes; drop one of them.",
    ),
    ("baselines: 3\n" + ONE_MODEL, "baselines is 3; it must be true or false."),
    ('dataset: "a\\nb"\n' + ONE_MODEL, "dataset holds a line break or control character."),
    ("epochs: 1\nepochs: 2\n" + ONE_MODEL, "line 2: duplicate key 'epochs'."),
    ("a: &a [x]\nmodels: *a", "line 2: aliases (*name) are not allowed; write the value out."),
    ("? [a, b]\n: 1\n", "line 1: a key must be plain text."),
    (
        "a: !!python/object/apply:os.system ['true']\n",
        "line 1: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not allowed; "
        "write a plain value.",
    ),
    ("models:\n\t- custom_cnn\n", "line 2: a tab is used for indentation; use spaces."),
    (
        "epochs:3\nmodels: [custom_cnn]",
        "line 2: a key needs a space after its colon, and text that holds a colon needs quotes.",
    ),
    (
        "title: CNN: own or not?\n" + ONE_MODEL,
        "line 1: a key needs a space after its colon, and text that holds a colon needs quotes.",
    ),
    (
        "models: [{model:custom_cnn}]",
        "models[0]: unknown key 'model:custom_cnn'. A key needs a space after its colon, and text that holds "
        "a colon needs quotes.",
    ),
    (
        "epochs:\u00a03\n" + ONE_MODEL,
        "line 2: a no-break space, as web pages have it, is no part of YAML: type it anew.",
    ),
    (
        "epochs\uff1a3\n" + ONE_MODEL,
        "line 2: a wide colon, as web pages have it, is no part of YAML: type it anew.",
    ),
    (
        "models: [{\u201cmodel\u201d: custom_cnn}]",
        "models[0]: unknown key '\u201cmodel\u201d'. A curly quote, as web pages have it, is no part of "
        "YAML: type it anew.",
    ),
    ("models = [{'model': 'custom_cnn'}]", "line 1: a key takes a colon, as epochs: 3."),
    ("lr: 0.1\n" + ONE_MODEL, "unknown key 'lr'. Did you mean 'learning_rate'?"),
    (
        "models: [{model: resnet18, pretrained: true}]",
        "models[0]: unknown key 'pretrained'. Did you mean 'mode'?",
    ),
    (
        "device: cuda:1\n" + ONE_MODEL,
        "device is 'cuda:1'; write cuda, and choose the GPU by CUDA_VISIBLE_DEVICES=1.",
    ),
    ("seed: [0, 1]\n" + ONE_MODEL, "seed is [0, 1]; several go into seeds, as seeds: [0, 1, 2]."),
    ("models: [", "line 1: expected the node content, but found '<stream end>'."),
    ("", "is empty; it needs at least a list of models."),
    ("- custom_cnn\n", "holds a list; it must be keys and values."),
    ("just text", "holds a text; it must be keys and values."),
    (b"title: \xff\xfe\n", "is not UTF-8 text (byte 7); save it as UTF-8."),
    ("epochs: " + "9" * 5000 + "\n" + ONE_MODEL, "holds a number or a date that cannot be."),
    ("title: 2026-02-31\n" + ONE_MODEL, "holds a number or a date that cannot be."),
    ("[" * 5000, "is nested too deeply."),
    ("seed: 99999999999999999999\n" + ONE_MODEL, f"seed is {'9' * 20}; it must be less than 4294967296."),
    ("seeds: [4294967296]\n" + ONE_MODEL, "seed is 4294967296; it must be less than 4294967296."),
    ("epochs: 1000001\n" + ONE_MODEL, "epochs is 1000001; it must be at most 1000000."),
    ("learning_rate: 1e400\n" + ONE_MODEL, "learning_rate is infinite; it must be a finite number."),
    ("learning_rate: 1e-400\n" + ONE_MODEL, "learning_rate is 0.0; it must be more than 0."),
    ("label_smoothing: .nan\n" + ONE_MODEL, "label_smoothing is not a number; it must be a finite number."),
    ("widths: [1.5]\n" + ONE_MODEL, "widths[0] is 1.5; it must be a whole number."),
    (
        "widths: [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" + ONE_MODEL,
        "widths is [1, 2, 3, 4, 5, 6, 7, 8, 9]; it must be a list of at most 8.",
    ),
    ("widths: {a: 1}\n" + ONE_MODEL, "widths is {'a': 1}; it must be a list."),
    (
        "data_dir: " + "x" * 201 + "\n" + ONE_MODEL,
        f"data_dir is '{'x' * 58}…; it must be text of at most 200 characters.",
    ),
    (
        'data_dir: "a\\0b"\n' + ONE_MODEL,
        "data_dir holds a line break or control character; "
        "in double quotes a backslash begins a special "
        "character: use single quotes or forward slashes.",
    ),
    (
        "title: 2020-01-01\n" + ONE_MODEL,
        "title is datetime.date(2020, 1, 1); it must be text of at most 2,000 characters.",
    ),
    ('title: "\\uD800"\n' + ONE_MODEL, "title is '\\ud800'; it must be Unicode text."),
    ("runs_dir: ''\n" + ONE_MODEL, "runs_dir is ''; it must be the path of a folder."),
    ('runs_dir: "a\\nb"\n' + ONE_MODEL, "runs_dir is 'a\\nb'; it must be the path of a folder."),
    ("? \n: 2\n" + ONE_MODEL, "unknown key None. Did you mean 'tune'?"),
    ("models: [null]", "models[0]: is empty; it must be keys and values, as {model: custom_cnn}."),
    ("models: [[custom_cnn]]", "models[0]: is a list; it must be keys and values, as {model: custom_cnn}."),
    ("--- a\n--- b\n", "line 2: a second document begins; keep one."),
    (
        "\0" + ONE_MODEL,
        "unacceptable character #x0000: special characters are not allowed "
        'in "<unicode string>", position 0.',
    ),
    ("device: gpu\n" + ONE_MODEL, "device is 'gpu'; it must be one of 'auto', 'cpu', 'cuda', 'mps'."),
    ("a: " + "x" * 1_000_001, "larger than 1,000,000 bytes, which no params file needs to be."),
]


@pytest.mark.parametrize(("text", "expected"), BAD_PARAMS)
def test_bad_params_file_is_refused_in_one_line(tmp_path: Path, text: str | bytes, expected: str) -> None:
    assert message(tmp_path, text) == expected


def test_missing_params_file_names_closest_file(tmp_path: Path) -> None:
    write(tmp_path, ONE_MODEL)

    with pytest.raises(SettingsError, match=r"y\.yaml: no such file\. Did you mean '.*x\.yaml'\?"):
        Experiment.from_yaml(tmp_path / "y.yaml")


@pytest.mark.parametrize(("asked", "meant"), [("x", "x.yaml"), ("x.json", "x.yaml"), ("y", "params/y.yml")])
def test_a_params_file_without_its_ending_or_folder_is_found(workplace: Path, asked: str, meant: str) -> None:
    for name in ("x.yaml", "params/y.yml"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()

    with pytest.raises(SettingsError, match=f"^{asked}: no such file. Did you mean '{meant}'\\?$"):
        Experiment.from_yaml(asked)


@pytest.mark.parametrize(
    ("name", "meant"), [("VGG-16", "vgg16"), ("CIFAR10", "cifar10"), ("fine-tune", "fine_tune")]
)
def test_capitals_and_separators_make_no_name_another(name: str, meant: str) -> None:
    known = ["vgg11", "vgg16", "cifar100", "cifar10", "fine_tune", "linear_probe"]

    assert did_you_mean(name, known) == f" Did you mean {meant!r}?"


def test_folder_in_place_of_params_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is a folder"):
        Experiment.from_yaml(tmp_path)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = write(tmp_path_factory.mktemp("fuzz"), content)

    try:
        found = str(type(read_yaml(path)))
    except SettingsError as error:
        found = str(error)

    assert "\n" not in found


KEYS = st.sampled_from([*RunSettings.model_fields, *EXPERIMENT_KEYS]) | st.text(max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.dates() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
ENTRIES = st.lists(st.just("custom_cnn") | st.dictionaries(KEYS, VALUES, max_size=3), max_size=3)


@given(st.dictionaries(KEYS, VALUES, max_size=4), ENTRIES | VALUES)
def test_any_keys_and_values_are_an_experiment_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, object], models: object
) -> None:
    text = yaml.safe_dump({**content, "models": models}, allow_unicode=True)
    path = write(tmp_path_factory.mktemp("fuzz"), text.encode("utf-8", "surrogatepass"))

    try:
        found = "".join(run.model_dump_json() for run in Experiment.from_yaml(path).runs)
    except SettingsError as error:
        found = str(error)
        assert_says_where(found, path)

    assert found
    assert "\n" not in found


def assert_says_where(said: str, path: Path) -> None:
    assert said.startswith(f"{path}: ")
    assert said.isprintable()


@given(
    st.builds(
        RunSettings,
        learning_rate=st.floats(1e-9, 100),
        epochs=st.integers(1, 10**6),
        augmentation=st.lists(st.sampled_from(["crop", "flip", "rand_augment"])),
        data_dir=st.text(min_size=1, max_size=20).filter(str.isprintable),
        max_train_images=st.none() | st.integers(1, 10**9),
    )
)
def test_settings_survive_a_round_trip_through_json(settings: RunSettings) -> None:
    assert RunSettings.model_validate_json(settings.model_dump_json()) == settings
    assert RunSettings.from_namespace({**settings.model_dump(), "other": 1}) == settings


@pytest.mark.parametrize(
    ("written", "meant"), [("~/pics", "/home/me/pics"), ("$PLACE/pics", "/mnt/pics"), ("a/~", "a/~")]
)
def test_paths_are_written_out_as_a_shell_would(
    monkeypatch: pytest.MonkeyPatch, written: str, meant: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("PLACE", "/mnt")
    assert RunSettings(data_dir=written).data_dir == meant
    assert (
        RunSettings(model="resnet18", mode="fine_tune", weights=f"{written}/w.pth").weights
        == f"{meant}/w.pth"
    )


@pytest.mark.parametrize("path", [r"C:\Users\a", r"D:\data", r"D:\new"])
def test_backslashes_in_double_quotes_are_explained(tmp_path: Path, path: str) -> None:
    (tmp_path / "x.yaml").write_text(f'data_dir: "{path}"\nmodels: [custom_cnn]\n', encoding="utf-8")
    with pytest.raises(SettingsError, match="use single quotes or forward slashes"):
        Experiment.from_yaml(tmp_path / "x.yaml")


@pytest.mark.parametrize(
    ("dataset", "named"),
    [
        ("dataset: image_folder\ndata_dir: data/my-birds\n", "my-birds"),
        ("dataset: cifar10\n", "cifar10"),
        ("dataset: image_folder\ndata_dir: .\n", "image_folder"),
    ],
)
def test_a_study_without_a_title_is_called_by_its_images(tmp_path: Path, dataset: str, named: str) -> None:
    experiment = Experiment.from_yaml(write(tmp_path, dataset + ONE_MODEL))

    assert experiment.title == f"Custom CNN or transfer learning on {named}?"
