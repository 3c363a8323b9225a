from pathlib import Path

from pipeline.report.chapters import (
    verdict,
)
from tests.made_records import Made
from tests.report.chapters.tools import (
    said,
    study_with,
)
from tests.report.conftest import StudyOf


def test_failed_runs_are_named_with_their_reason(study_of: StudyOf) -> None:
    found = [s.text for s in verdict(study_of("failed_run"))["limits"] if s.rule == "limits.failed"]
    assert found == [
        "Fine-tuned ResNet-18 stands on fewer runs than planned, since one of its two seeds failed: out of "
        "memory at batch size 128. Try a smaller batch_size.",
        "Fine-tuned EfficientNet-Lite0 is missing from every comparison, since it failed: out of memory at "
        "batch size 128. Try a smaller batch_size.",
    ]


def test_limits_bear_the_numbers_of_these_runs(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    assert said(study, "limits.seeds").startswith("Each model ran once")
    assert "500 val images" in said(study, "limits.val-choice")
    assert "1.0 % have a copy in train" in said(study, "limits.near-duplicates")
    assert "2,000 test images" in said(study, "limits.test-size")
    assert "With three seeds per model" in said(study_of("transfer_wins"), "limits.seeds")


def test_unequal_training_sets_are_a_limit(tmp_path: Path) -> None:
    study = study_with(tmp_path, Made(), Made("resnet18", "fine_tune"))
    record = study.models[1].records[0]
    sizes = {**record.details.dataset.split_sizes, "train": 50}  # type: ignore[union-attr]
    dataset = record.details.dataset.model_copy(update={"split_sizes": sizes})  # type: ignore[union-attr]
    object.__setattr__(record, "details", record.details.model_copy(update={"dataset": dataset}))
    assert "fine-tuned ResNet-18 from 50, the custom CNN from 400" in said(study, "limits.unequal-data")


def test_runs_of_unlike_torch_versions_are_a_limit(tmp_path: Path) -> None:
    study = study_with(tmp_path, Made(), Made("resnet18", "fine_tune"))
    assert "limits.versions" not in {s.rule for s in verdict(study)["limits"]}
    record = study.models[1].records[0]
    place = record.details.environment.model_copy(update={"packages": {"torch": "2.16.0"}})  # type: ignore[union-attr]
    object.__setattr__(record, "details", record.details.model_copy(update={"environment": place}))
    again = study_with(tmp_path / "again", Made(), Made("resnet18", "fine_tune"))
    object.__setattr__(again, "models", [again.models[0], study.models[1]])
    assert "by PyTorch 2.15.0 and 2.16.0" in said(again, "limits.versions")


def test_strong_backbones_that_were_not_tried_are_named(tmp_path: Path) -> None:
    dino = Made("timm/vit_small_patch14_dinov2.lvd142m", "linear_probe")
    study = study_with(tmp_path, Made(), Made("resnet18", "fine_tune"), dino)
    assert said(study, "limits.backbones") == (
        "Of pretrained networks only ResNet-18 and timm/vit_small_patch14_dinov2.lvd142m were tried; a "
        "stronger one, as SigLIP, ConvNeXt or MobileNetV4 (params/backbones.yaml), may change the answer."
    )
