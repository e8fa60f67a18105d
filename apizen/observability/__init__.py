"""What the server tells of itself: access log, metrics, health, list of errors; no call is decided, no server known."""
