"""The tracking service: server, client and command line. Imports `model`, never the other way."""
