"""One-pass evaluation: sequences, metrics, the run over them, plots, page; and choosing the tracker's constants."""
