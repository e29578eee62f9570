"""The command line `siamfc`. Help and tracking through a server need the base install only."""

import model.blas  # noqa: F401 - before anything that loads numpy
from siamfc.cli.program import main

__all__ = ["main"]
