"""Who may call what, and how often. It knows requests and calls, but no server: nothing here imports Tornado."""
