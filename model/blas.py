"""numpy's linear algebra on one thread, for a process that runs the network. Import it before numpy.

What numpy multiplies here is small: a target's map upscaled. OpenBLAS would share that out between cores that the
network keeps busy, and wait for them.
"""

from __future__ import annotations

import os

VARIABLE = "OPENBLAS_NUM_THREADS"

os.environ.setdefault(VARIABLE, "1")
