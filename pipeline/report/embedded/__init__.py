"""A renderer for the subset of Quarto that ``report.qmd`` uses, from parts that come with pip.

nbclient executes the cells, Pandoc (pypandoc-binary) reads the Markdown and writes HTML and Typst, and
Typst makes the PDF. ``subset`` and ``checks`` say what is known; the rest is refused by name and line.

How a document goes through::

    document ──► execution ──► outputs ──► assembly ──► Pandoc's tree ──► checks, cells, references
                                                                                │
                                     web_blocks, web ──► HTML     paper_blocks, paper ──► PDF
"""
