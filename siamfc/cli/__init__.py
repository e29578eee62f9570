"""The command line, `siamfc`. Its help, and tracking through a server, need neither torch nor the server's packages."""

import model.blas  # noqa: F401 - first: before anything that loads numpy
from siamfc.cli.program import main

__all__ = ["main"]
