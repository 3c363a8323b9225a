from pathlib import Path

from pipeline.report.chapters import (
    images,
)
from tests.made_records import Made
from tests.report.chapters.tools import (
    said,
    study_with,
)
from tests.report.conftest import StudyOf


def test_class_counts_are_written_at_the_bars(study_of: StudyOf) -> None:
    study = study_of("two_classes")
    counts = study.models[0].chosen.details.dataset.class_counts
    for axes, split in zip(images.balance(study).content.axes, ("train", "val", "test"), strict=True):
        assert axes.get_title(loc="left") == f"{split}: {sum(counts[split]):,}"
        assert [text.get_text() for text in axes.texts] == [f"{count:,}" for count in counts[split]]


def test_what_images_lost_on_their_way_is_told_with_its_evidence(study_of: StudyOf) -> None:
    study = study_of("two_classes")
    notes = ["Only the middle square of an image is used.", "extra/ (3 files) is neither part nor class."]
    dataset = study.models[0].chosen.details.dataset
    found = images.Facts.of(study, dataset.model_copy(update={"notes": notes}))
    sentence = images.note_words(found)
    assert sentence is not None
    assert (sentence.text, sentence.evidence) == (" ".join(notes), {"notes": notes})
    assert images.note_words(images.Facts.of(study, dataset)) is None


CROPPED = {"augmentation": ["crop"]}


def test_whose_images_are_changed_in_training(tmp_path: Path) -> None:
    study = study_with(
        tmp_path,
        Made(settings=CROPPED),
        Made("resnet18", "scratch", 0.6, settings=CROPPED),
        Made("resnet18", "linear_probe", 0.7, settings=CROPPED),
    )
    assert said(study, "data.augmentation") == (
        "In training of all but the linear probe on ResNet-18, images are changed each time they are shown "
        "(crop)."
    )


def test_kinds_of_augmentation_that_differ_are_not_told_of_all(tmp_path: Path) -> None:
    study = study_with(
        tmp_path,
        Made(settings=CROPPED),
        Made("resnet18", "scratch", 0.6, settings={"augmentation": ["flip"]}),
    )
    assert said(study, "data.augmentation") == (
        "In training, images are changed each time they are shown (crop and flip, not the same for all)."
    )
