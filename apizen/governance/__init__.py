"""Who may call what, and how often: guards, and what they look up and count; no protocol and no server."""
