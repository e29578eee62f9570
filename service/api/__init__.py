"""HTTP and WebSocket routes, and what they need: request bodies, keys, rate limit, problems."""
