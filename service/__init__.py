"""The tracking server. Imports `siamfc` and `model`, never the other way."""
