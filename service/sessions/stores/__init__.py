"""Where sessions live: what a store must do, in memory and in Redis."""
