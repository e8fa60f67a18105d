"""Faces: each turns one protocol into calls of the pipeline, and what comes of them into answers. No server here."""
