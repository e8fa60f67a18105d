"""The commands of the command line, one module for each, and what they have in common.

They read options and print. What they do to apps, bans and signatures stands in `apizen.governance`.
"""
