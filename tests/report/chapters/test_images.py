from pipeline.report.chapters import (
    images,
)
from tests.report.conftest import StudyOf


def test_class_counts_are_written_at_the_bars(study_of: StudyOf) -> None:
    study = study_of("two_classes")
    counts = study.models[0].chosen.details.dataset.class_counts
    for axes, split in zip(images.balance(study).axes, ("train", "val", "test"), strict=True):
        assert axes.get_title(loc="left") == f"{split}: {sum(counts[split]):,}"
        assert [text.get_text() for text in axes.texts] == [f"{count:,}" for count in counts[split]]
