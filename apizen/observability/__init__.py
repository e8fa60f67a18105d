"""What the server tells of itself: the record of calls, metrics, health, the catalogue of errors."""
