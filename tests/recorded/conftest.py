"""Importing the methods registers versions and errors, which belong to the server's process only."""

collect_ignore = ["methods.py"]
