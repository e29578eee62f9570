"""What runs the embedding: torch, or the network compiled for the CPU at hand; and the choice between them."""
