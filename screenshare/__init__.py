"""A screen share for the LAN: captures, encodes and broadcasts pictures, and serves the page that shows them; nothing
of the gateway, nothing of this application and no setting of theirs belongs here.
"""
