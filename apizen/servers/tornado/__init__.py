"""Tornado's server: connections, and what stands in front of its `Application`. Nothing else imports Tornado."""
