"""The device's side: slots for exemplars, batching, and the thread that runs the network."""
