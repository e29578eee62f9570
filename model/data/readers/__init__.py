"""Readers of training corpora, one a layout."""
