"""Choosing the tracker's constants on training clips."""
