"""Array types, named by what they hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RgbImage = NDArray[np.uint8]
"""uint8 [height, width, 3]: red, green and blue, row by row."""

RgbaImage = NDArray[np.uint8]
"""uint8 [height, width, 4]: red, green, blue and opacity, row by row."""

RgbCrops = NDArray[np.uint8]
"""uint8 [..., side, side, 3]: square RGB images of one size."""

Float16 = NDArray[np.float16]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
