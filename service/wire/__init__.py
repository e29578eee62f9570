"""The socket protocol without a socket: bytes and text in, events out. Knows no framework, no torch, no asyncio."""
