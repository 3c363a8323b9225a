"""What a reader must know beside an answer: copies between the parts, images too small for a network."""

from dataclasses import dataclass

from pipeline.record import Copies, Duplicates
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import join
from pipeline.report.words.numbers import NBSP, percent
from pipeline.report.words.phrases import commonest
from pipeline.report.words.sentence import Sentence

MOST = 0.5  # share of the commonest class from which accuracies are set against it in the answer
LEAK = 0.01  # share of the test images from which copies in train are told in the answer

PROPERTIES = {  # as sentences call them
    "size": "size",
    "aspect": "shape",
    "brightness": "brightness",
    "colour_cast": "colour cast",
    "blur": "blur",
    "file_type": "file type",
    "file_number": "number in the file name",
}


def one_class(study: Study) -> Sentence | None:
    """Say what naming one class would score, where that is most of it; nothing where nothing was learned."""
    if not study.learned or commonest(study) < MOST:
        return None
    text = (
        f"Set the scores against {percent(commonest(study))}, what always naming the commonest class gets on "
        "these test images."
    )
    return Sentence(text, "answer.commonest", {"share": commonest(study)}, ("tbl-headline",))


def leak(study: Study) -> Sentence | None:
    """Warn of images that stand in two parts, or in two classes; nothing of less than one in a hundred."""
    found = [one for one in copies(study) if one.count >= LEAK * one.images]
    if not found:
        return None
    parts = [
        f"{one.count:,} of the {one.where} ({percent(one.count / one.images)}) {one.what}" for one in found
    ]
    text = f"A warning: {'; '.join(parts)}."
    evidence = {one.kind: {"copies": one.count, "images": one.images} for one in found}
    references = ("tbl-duplicates",) if found[0].kind == "test_in_train" else ()
    return Sentence(text, "answer.leak", evidence, references)


@dataclass(frozen=True)
class Copied:
    """Images of one part that are exact or near copies of images elsewhere."""

    kind: str  # as the record names it
    count: int
    images: int  # searched
    where: str  # as "400 test images"
    what: str  # what that does
    of: str  # the same in short, as "the test images in train"


def copies(study: Study) -> list[Copied]:
    """Return what copies the runs found, the most harmful first."""
    dataset, images = study.dataset, len(study.targets)
    if dataset is None or not images:
        return []
    in_train = Copied(
        "test_in_train",
        len(dataset.near_duplicates),
        images,
        f"{images:,} test images",
        f"{_are(len(dataset.near_duplicates))} in train, where memory may pass for skill",
        "the test images have a copy in train",
    )
    kinds = [in_train, *(_recorded(dataset.duplicates) if dataset.duplicates else [])]
    return [one for one in kinds if one.count]


def _recorded(found: Duplicates) -> list[Copied]:
    said = {
        "test_in_val": ("test images", "in val, by which epochs and models were chosen"),
        "val_in_train": ("val images", "in train, so that val flatters what learned most by heart"),
        "train_across_classes": (
            "training images",
            "in another class of train, so that two labels contradict each other",
        ),
    }
    every = []
    for kind, (where, what) in said.items():
        one: Copies = getattr(found, kind)
        count = len({*one.exact, *one.near})
        short = f"the {where} have a copy {what.partition(',')[0]}"
        text = f"{one.searched:,} {where}"
        every.append(Copied(kind, count, one.searched, text, f"{_are(count)} {what}", short))
    return every


def _are(count: int) -> str:
    return "has a copy" if count == 1 else "have a copy"


def small_input(model: Model) -> Sentence | None:
    """Warn of a pretrained network that sees images at most half as large as those of its weights."""
    network = model.network
    trained = getattr(network, "pretrained_size", None)
    if network is None or not model.pretrained or not trained or 2 * network.input_size > trained:
        return None
    text = (
        f"The weights of {model.spoken} were trained on images of {trained}{NBSP}pixels and here see "
        f"{network.input_size}{NBSP}pixels; image_size: {trained} may give it more."
    )
    evidence = {"model": model, "trained": trained, "seen": network.input_size}
    return Sentence(text, "answer.small-input", evidence, ("tbl-models",))


def shortcut(study: Study) -> Sentence | None:
    """Warn of properties beside what images show by which alone the classes can be told."""
    found = study.found_shortcuts
    if not found:
        return None
    text = (
        f"A warning: classes can be told by {join([PROPERTIES[one.property] for one in found])} alone, "
        "better than by chance; the models may have learned that."
    )
    return Sentence(text, "answer.shortcuts", {"shortcuts": found}, ("tbl-shortcuts",))
