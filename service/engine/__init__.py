"""The device side: slots for exemplars, batches of jobs, and the thread that runs the network."""
