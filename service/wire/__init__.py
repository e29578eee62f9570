"""The socket protocol without a socket: bytes and text in, events out. No framework, no torch, no asyncio."""
