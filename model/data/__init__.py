"""Data: training corpora and evaluation sequences on disk, and rendered scenes."""
