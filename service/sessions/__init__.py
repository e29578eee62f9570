"""Sessions: their state, leases and stores, and the step from one frame to the next."""
