"""Training: corpus, pairs, augmentation, objective, loop."""
