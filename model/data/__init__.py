"""Data: corpora and sequences on disk, and rendered scenes."""
