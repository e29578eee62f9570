"""Stores of sessions: the protocol, one in memory, one in Redis."""
