"""The errors of `model`.

ModelError                  anything this package refuses
├── ConfigError             a configuration value is unknown, mistyped or out of bounds
├── InvalidBoxError         a box is not finite, is smaller than a pixel or misses the frame
├── InvalidImageError       the bytes are no JPEG, PNG or WebP image, or a damaged or too costly one
├── ImageTooLargeError      the image has more pixels than allowed, or too long a side
├── CheckpointError         a weights file cannot be read or does not fit the network
├── SequenceError           an evaluation sequence is incomplete or malformed
└── CorpusError             a training corpus is incomplete or malformed

Each is a ValueError too: the caller gave something that cannot be used.
"""


class ModelError(ValueError):
    """Anything this package refuses."""


class ConfigError(ModelError):
    """A configuration value is unknown, mistyped or out of bounds."""


class InvalidBoxError(ModelError):
    """A box is not finite, is smaller than a pixel or does not overlap the frame."""


class InvalidImageError(ModelError):
    """The bytes are no JPEG, PNG or WebP image, a damaged one, or one that costs too much to decode."""


class ImageTooLargeError(ModelError):
    """The image has more pixels than allowed, or too long a side."""


class CheckpointError(ModelError):
    """A weights file cannot be read, is damaged, or does not fit the network."""


class SequenceError(ModelError):
    """An evaluation sequence is incomplete or malformed."""


class CorpusError(ModelError):
    """A training corpus is incomplete or malformed."""
