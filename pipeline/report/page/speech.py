"""The report's computed paragraphs: those of the verdict, and a few that only state what was run."""

from functools import cached_property

from IPython.display import Markdown

from pipeline.report.look.theme import letters
from pipeline.report.model import Model
from pipeline.report.page.markup import raw
from pipeline.report.study import Study
from pipeline.report.verdict import answer, pair_of, verdict
from pipeline.report.words.english import escape_markdown, flat, join, number_word, opened, plural
from pipeline.report.words.sentence import Sentence

WAYS = {
    "scratch": "from scratch, that is from random weights",
    "linear_probe": "as a linear probe, where a pretrained network stays as it is below a new last layer",
    "fine_tune": "fine-tuned, where a pretrained network gets a new last layer and all of it learns on",
}
EMPTY = "<!-- -->"  # Quarto leaves inline code as it stands where its result is empty
LONGEST_LEAD = 70  # characters


class Speech:
    """Paragraphs of one study, each read where the report needs it."""

    def __init__(self, study: Study) -> None:
        self.study = study

    @cached_property
    def _sentences(self) -> list[Sentence]:
        return [sentence for section in verdict(self.study).values() for sentence in section]

    def __call__(self, *rules: str, but: str = "no rule", named: str = "") -> Markdown:
        """Return as one paragraph the sentences whose rules begin with one of ``rules``, as "errors".

        What they refer to is cited once, and not at all where ``named`` says that the text around
        them does.
        """
        told, parts = set(named.split()), []
        for sentence in self._of(rules, but):
            parts.append(sentence.cited([name for name in sentence.references if name not in told]))
            told.update(sentence.references)
        return Markdown(" ".join(parts) or EMPTY)

    def points(self, *rules: str) -> Markdown:
        """Return the same sentences as a list."""
        items = [f"- {one.markdown}" for one in self._of(rules)]
        return Markdown("\n\n" + "\n".join(items) + "\n\n" if items else EMPTY)

    def _of(self, rules: tuple[str, ...], but: str = "no rule") -> list[Sentence]:
        return [one for one in self._sentences if one.rule.startswith(rules) and not one.rule.startswith(but)]

    @property
    def seeds(self) -> Markdown:
        """What a score of several seeds is, and which of them speaks where only one can."""
        counts = {len(group.records) for group in self.study.models}
        if not counts or max(counts) < 2:
            return Markdown(EMPTY)
        often = "twice" if max(counts) == 2 else f"{number_word(max(counts))} times"
        return Markdown(
            f"Each model was trained {'up to ' if len(counts) > 1 else ''}{often}, from different seeds. "
            "Scores are means over seeds. Where one run must speak for its model, as in a test on single "
            "images, it is the one with the best val accuracy, the chosen seed."
        )

    @property
    def tradeoffs(self) -> Markdown:
        """What speaks for each of the two models that the report compares, and what stays open."""
        pair = pair_of(self.study)
        if pair is None:
            return Markdown(EMPTY)
        both_sides = pair[0].pretrained != pair[1].pretrained
        leads: list[tuple[str | None, str]] = [
            (group.key, f"For {_side(group) if both_sides else ''}{group.spoken}:") for group in pair
        ]
        found = self._of(("tradeoffs.",))
        parts = []
        for key, lead in (*leads, (None, "Undecided:")):
            items = [f"- {_with_lead(one)}" for one in found if one.evidence["favours"] == key]
            if items or key:
                nothing = "- Nothing that these runs measured."
                parts += [_kept_with_next(lead), "\n".join(items or [nothing])]
        return Markdown("\n\n".join(parts) + "\n")

    @property
    def augmentation(self) -> Markdown:
        """What is done to training images, if anything."""
        asked = {tuple(group.settings.augmentation) for group in self.study.models}
        if not any(asked):
            return Markdown("The training images were used as they are." if asked else EMPTY)
        kinds = list(dict.fromkeys(kind.replace("_", " ") for found in asked for kind in found))
        some = "" if all(asked) else " for some of the models"
        words = f"In training each image is changed at random every time it is shown ({join(kinds)}){some}."
        return Markdown(escape_markdown(words))

    @property
    def models(self) -> Markdown:
        """Which networks ran, in which of the three ways."""
        groups = self.study.models
        if not groups:
            return Markdown("No network finished its training.")
        names = list(dict.fromkeys("the custom CNN" if g.is_custom else g.name for g in groups))
        networks = f"{number_word(len(names))} networks" if len(names) > 1 else "one network"
        ways = [words for mode, words in WAYS.items() if any(group.mode == mode for group in groups)]
        text = f"This report is about {networks}, {join(names)}, trained {ways[0]}."
        if len(ways) > 1:
            how = f"{'; '.join(ways[:-1])}; and {ways[-1]}"
            text = f"This report is about {networks}, {join(names)}, in {number_word(len(ways))} ways: {how}."
        return Markdown(escape_markdown(text))

    @property
    def descriptions(self) -> Markdown:
        """What each network is, as far as its runs say."""
        marks = letters(self.study)
        known = [(marks[g.key], g.network.description) for g in self.study.models if g.network]
        items = [f"- {mark}\\: {escape_markdown(words)}" for mark, words in known if words]
        return Markdown("\n\n" + "\n".join(items) + "\n\n" if items else EMPTY)

    @property
    def reproduction(self) -> Markdown:
        """The command, the versions, the code and the machine."""
        experiment = self.study.experiment
        command = f"``headstart report {flat(experiment.path or experiment.name)}``"
        parts = [f"{command} makes this report again; runs that are whole are read, not repeated."]
        parts += [escape_markdown(words) for words in (*_promise(self.study), *_environment(self.study))]
        return Markdown(" ".join(parts))


def stated(study: Study) -> Markdown:
    """Return the answer, set apart, a paragraph for each of its sentences."""
    opening, closing = raw('<div class="answer">', "#answer["), raw("</div>", "]")
    content = "\n\n".join(_with_lead(sentence) for sentence in answer(study))
    return Markdown(f"{opening.data}\n\n{content}\n\n{closing.data}")


def _kept_with_next(words: str) -> str:
    """Return a line that no page of the PDF ends with."""
    opening, closing = raw("", "#lead["), raw("", "]")
    return f"{opening.data}\n\n{escape_markdown(words)}\n\n{closing.data}"


def _with_lead(sentence: Sentence) -> str:
    """Return a sentence with what comes before its colon, if that is short, in bold."""
    lead, colon, _ = sentence.text.partition(": ")
    if not colon or len(lead) > LONGEST_LEAD:
        return sentence.markdown
    words = escape_markdown(f"{lead}:")
    return sentence.markdown.replace(words, f"**{words}**", 1)


def _promise(study: Study) -> list[str]:
    """Return what the same file gives when its runs are made again, and where that ends."""
    devices = {r.details.environment.device for r in study.records if r.details.environment}
    if not devices:
        return []
    numbers = "the same numbers"
    if devices != {"cpu"}:
        numbers = "nearly the same numbers, since a GPU adds in no fixed order"
    return [
        f"With the same versions and as many threads on the same machine, this file gives {numbers}. Other "
        "hardware, versions, numbers of threads or precision (bf16 in place of fp32) round differently, "
        "which training amplifies: figures then differ."
    ]


def _side(group: Model) -> str:
    return "transfer learning, that is " if group.pretrained else "training from scratch, that is "


def _environment(study: Study) -> list[str]:
    dataset = study.dataset
    environment = next((r.details.environment for r in study.records if r.details.environment), None)
    words = []
    if environment:
        packages = join([f"{name} {version}" for name, version in environment.packages.items()])
        words.append(f"The runs used Python {environment.python} and {packages}, on {environment.platform}.")
    if environment and environment.git_commit:
        dirty = ", with changes that were not committed" if environment.git_dirty else ""
        words.append(f"The code was commit {environment.git_commit[:12]}{dirty}.")
    if dataset:
        words.append(f"The fingerprint of the images is {dataset.fingerprint[:16]}.")
    if dataset and dataset.unreadable:
        shown = join(dataset.unreadable[:20])
        more = f" and {len(dataset.unreadable) - 20:,} more" if len(dataset.unreadable) > 20 else ""
        words.append(f"{opened(plural(len(dataset.unreadable), 'unreadable file'))}: {shown}{more}.")
    return words
