"""What the server tells of itself: the access log, metrics, health, the list of errors.

Nothing here decides about a call, and nothing imports a server.
"""
