"""How a running server is watched: metrics, logs and traces."""
