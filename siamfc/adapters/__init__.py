"""Adapters: the interfaces by which other tools call a tracker. Each module needs the package of its tool."""
