"""One-pass evaluation: metrics, the run over sequences, plots, page."""
