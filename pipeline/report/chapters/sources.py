"""Terms that the report uses, and the sources of what it takes as known."""

from dataclasses import dataclass

from IPython.display import Markdown

from pipeline.report.look.markup import raw, text, typst_string

ARXIV = "https://arxiv.org/abs/"
TERMS = {
    "val": "Images by which the epoch and the model are chosen; test images judge afterwards, once.",
    "seed": "The number that fixes chance in a training: first weights, order of images, augmentation.",
    "macro average": "The mean over classes, in which each counts alike, however many images it has.",
    "linear probe": "A pretrained network that stays as it is, below a new last layer that learns.",
    "MACs": "Multiply-adds for one image, each counted once.",
    "95 % interval": "Made so that in 95 of 100 such studies it holds the true value.",
    "Holm": "A correction of p values for several tests at once, so that none is found by luck.",
    "ECE": "Expected calibration error: how far confidence is from the share of right answers, on average.",
    "temperature": "One number that divides a network’s logits, fitted on val so that confidence fits.",
}


@dataclass(frozen=True)
class Source:
    """A publication, as the report's text cites it."""

    who: str
    year: int
    arxiv: str
    title: str

    @property
    def anchor(self) -> str:
        """As "yosinski-2014"."""
        return f"{self.who.split(',')[0].split(' ')[0].lower()}-{self.year}"


SOURCES = (
    Source("Barz and Denzler", 2019, "1902.00423",
           "Do we train on test data? Purging CIFAR of near-duplicates"),
    Source("Bouthillier et al.", 2021, "2103.03098",
           "Accounting for variance in machine learning benchmarks"),
    Source("Dehghani et al.", 2021, "2110.12894",
           "The efficiency misnomer"),
    Source("Guo et al.", 2017, "1706.04599",
           "On calibration of modern neural networks"),
    Source("He et al.", 2019, "1811.08883",
           "Rethinking ImageNet pre-training"),
    Source("Kornblith et al.", 2019, "1805.08974",
           "Do better ImageNet models transfer better?"),
    Source("Kumar et al.", 2022, "2202.10054",
           "Fine-tuning can distort pretrained features and underperform out-of-distribution"),
    Source("Mitchell et al.", 2019, "1810.03993",
           "Model cards for model reporting"),
    Source("Northcutt et al.", 2021, "2103.14749",
           "Pervasive label errors in test sets destabilize machine learning benchmarks"),
    Source("Raghu et al.", 2019, "1902.07208",
           "Transfusion: understanding transfer learning for medical imaging"),
    Source("Yosinski et al.", 2014, "1411.1792",
           "How transferable are features in deep neural networks?"),
)  # fmt: skip


def terms() -> Markdown:
    """Return the terms with their explanations."""
    page = "".join(f"<div><dt>{text(word)}</dt><dd>{text(said)}</dd></div>" for word, said in TERMS.items())
    paper = ", ".join(f"({typst_string(word)}, {typst_string(said)})" for word, said in TERMS.items())
    return raw(f'<dl class="terms">{page}</dl>', f"#terms(({paper}))")


def listed() -> Markdown:
    """Return the sources with their anchors, which the text links to."""
    page, paper = [], []
    for one in SOURCES:
        address = f"{ARXIV}{one.arxiv}"
        said = f"{one.who} {one.year}. {one.title}{'' if one.title.endswith('?') else '.'}"
        page.append(f'<li id="{one.anchor}">{text(said)} <a href="{address}">arXiv {one.arxiv}</a></li>')
        paper.append(f"({typst_string(one.anchor)}, {typst_string(said)}, {typst_string(one.arxiv)})")
    return raw(f'<ul class="sources">{"".join(page)}</ul>', f"#sources(({', '.join(paper)}))")
