"""One-pass evaluation: sequences, metrics, the run over them, plots. No torch."""
