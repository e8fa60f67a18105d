"""The server on Tornado, and what stands in front of its `Application`; no other package imports Tornado."""
