"""Bytes on sockets become requests, and answers become bytes; what a request means is not for here."""
