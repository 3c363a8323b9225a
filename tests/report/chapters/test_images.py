from pipeline.report.chapters import (
    images,
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
