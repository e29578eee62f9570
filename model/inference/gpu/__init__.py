"""The whole step on a GPU: crops cut, embedded, correlated and read there."""
