"""HTTP and WebSocket routes: thin shells over sessions and wire."""
