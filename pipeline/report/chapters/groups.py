"""Groups: what images belong together, and how many independent ones they are worth."""

from pipeline.report.evidence.groups import FEWEST, Groups
from pipeline.report.evidence.groups import groups as measured
from pipeline.report.look.paragraph import Words
from pipeline.report.study import Study
from pipeline.report.words.english import join, number_word, plural
from pipeline.report.words.sentence import Sentence

SECTION = "data"  # its place in results.json


def facts(study: Study) -> Groups | None:
    """Return the groups; None where each image stands for itself."""
    best = study.best
    if best is None or best.groups is None or best.chosen.images is None:
        return None
    return measured(str(best.settings.group), best.chosen.images, best.correct, best.groups)


def words(study: Study) -> Words:
    """Say how many groups there are and what their images are worth; nothing where there are none."""
    found, best = facts(study), study.best
    if found is None or best is None:
        return Words(study, [])
    shares = join([f"{count:,} in {split}" for split, count in found.counts.items()])
    text = (
        f"Images belong together in {plural(sum(found.counts.values()), 'group')} by {found.by} ({shares}), "
        "none of which is in two of these parts; intervals and tests count groups, not images."
    )
    if found.worth_images is not None:
        text += (
            f" For the accuracy of {best.spoken} the {plural(found.test_images, 'test image')} are worth "
            f"about {found.worth_images:,.0f} independent ones."
        )
    tested = found.counts.get("test", 0)
    if tested < 2:
        text += " Test is one group: how much another would differ, nothing here tells."
    elif tested < FEWEST:
        text += f" Test is {number_word(tested)} groups, too few to tell how much others would differ."
    return Words(study, [Sentence(text, "data.groups", found, ())])
