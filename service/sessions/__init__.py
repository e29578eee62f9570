"""Sessions: their state, their life, and the step from one frame to the next."""
