"""Where callers are counted and claims are kept: in memory, in a file, in Redis. Knows no guard."""
