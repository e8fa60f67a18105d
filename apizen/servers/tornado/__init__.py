"""The server on Tornado, and what stands in front of its `Application`. No other package imports Tornado.

Beside it two modules do: `apizen.multipart`, for the parser of forms, and `apizen.cli`, to reload.
"""
