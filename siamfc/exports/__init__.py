"""Results in the formats of other tools: `export` frame by frame, `save` all at once."""

from siamfc.exports.formats import FORMATS, export, save
from siamfc.exports.writers import Clip, Writer

__all__ = ["FORMATS", "Clip", "Writer", "export", "save"]
