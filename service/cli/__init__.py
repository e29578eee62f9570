"""The command line, `siamfc`. Its help, and tracking through a server, need neither torch nor the server's packages."""

from service.cli.program import main

__all__ = ["main"]
