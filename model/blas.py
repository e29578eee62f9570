"""numpy's linear algebra on one thread, for a process that runs the network. Import it before numpy.

numpy's matrices are small here: a target's map, upscaled. OpenBLAS would share them out between cores that the network
keeps busy, and wait for these.
"""

from __future__ import annotations

import os

VARIABLE = "OPENBLAS_NUM_THREADS"

os.environ.setdefault(VARIABLE, "1")
