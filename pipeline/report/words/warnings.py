"""What a reader must know beside an answer: copies between the parts, images too small for a network."""

from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.numbers import NBSP, percent
from pipeline.report.words.phrases import commonest
from pipeline.report.words.sentence import Sentence

MOST = 0.5  # share of the commonest class from which accuracies are set against it in the answer
LEAK = 0.01  # share of the test images from which copies in train are told in the answer


def warnings(study: Study) -> list[Sentence | None]:
    """Return what a reader of any answer to a study must know."""
    return [one_class(study), leak(study)]


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
    """Warn of test images that are in train as well; nothing of less than one in a hundred."""
    dataset, images = study.dataset, len(study.targets)
    twins = len(dataset.near_duplicates) if dataset else 0
    if not images or twins < LEAK * images:
        return None
    has = "has" if twins == 1 else "have"
    text = (
        f"A warning: {twins:,} of the {images:,} test images ({percent(twins / images)}) {has} a "
        "near-duplicate in train, where memory passes for skill."
    )
    return Sentence(text, "answer.leak", {"near_duplicates": twins, "images": images}, ("tbl-duplicates",))


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
