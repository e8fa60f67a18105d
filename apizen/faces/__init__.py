"""Faces: each turns one protocol into calls of the pipeline and back; none guards, binds, runs or knows a server."""
