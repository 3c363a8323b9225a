"""What pyproject.toml cannot say: the files that ``headstart init`` copies travel in the wheel too."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class WithStarter(build_py):
    """Copies report.qmd, _quarto.yml and params/ into the package, where ``pipeline.init`` finds them."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # there they are found in the checkout itself
            return
        target = Path(self.build_lib) / "pipeline" / "starter"
        shutil.rmtree(target, ignore_errors=True)
        (target / "params").mkdir(parents=True)
        for path in (ROOT / "report.qmd", ROOT / "_quarto.yml", *sorted((ROOT / "params").glob("*.yaml"))):
            shutil.copyfile(path, target / path.relative_to(ROOT))


setup(cmdclass={"build_py": WithStarter})
