"""`python -m service`: the server, with its settings from the environment."""

from __future__ import annotations

import sys

import model.blas  # noqa: F401 - first: before anything that loads numpy
from service.settings import SettingsError, load_settings
from service.workers import run


def main() -> int:
    """Serve until told to stop; returns the exit status."""
    try:
        settings = load_settings()
    except SettingsError as error:
        print(f"siamfc: {error}", file=sys.stderr)
        return 2
    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
