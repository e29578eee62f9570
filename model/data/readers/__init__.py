"""Readers of training corpora, one a layout; which it is shows in the folder."""
