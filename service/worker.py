"""`python -m service.worker PLACE`: one of several worker processes of a server. `service.workers` starts them."""

from __future__ import annotations

import os
import sys

import model.blas  # noqa: F401 - first: before anything that loads numpy
from service.post import Post
from service.serve import run
from service.settings import SettingsError, load_settings


def main(arguments: list[str]) -> int:
    """Serve from the inherited sockets until told to stop; returns the exit status."""
    try:
        (place,) = arguments
        post, settings = Post.from_argument(place), load_settings()
    except (SettingsError, ValueError) as error:
        print(f"siamfc: {error}", file=sys.stderr)
        return 2
    for descriptor in post.descriptors:
        # Nothing that this process starts may keep them open.
        os.set_inheritable(descriptor, False)
    return run(settings, post)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
