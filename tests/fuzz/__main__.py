"""`python -m tests.fuzz TARGET [FOLDER] [libFuzzer options]`: coverage-guided fuzzing; findings are kept in FOLDER.

Needs atheris. `-max_total_time=60` ends it after a minute, `-runs=1000` after so many inputs. The kept corpus is read
too; an input that finds a fault, or something new, goes to `tests/fuzz/corpus/TARGET` by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def main(name: str, *options: str) -> None:
    """Fuzz a target until it is told to stop or has found a fault."""
    import atheris

    with atheris.instrument_imports(include=["service.api", "service.wire", "service.sessions.decoding", "model"]):
        from tests.fuzz.targets import TARGETS
    folders = [option for option in options if not option.startswith("-")]
    flags = [option for option in options if option.startswith("-")]
    atheris.Setup([sys.argv[0], *flags, *folders, str(CORPUS / name)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    main(*sys.argv[1:])
