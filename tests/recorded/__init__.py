"""Requests with the whole answers that they once got: a change of the program must not change a byte of them.

`methods` is what the server serves beside the demo, `cases` makes the requests, `servers` starts the program and asks
it, `answers.json` has the answers. ``python -m tests.recorded.record`` writes them anew, for a change that is meant.
Nothing here knows more of the program than its command line and its public names.
"""
