"""Apps, bans and maintenance: their tables, their secrets, and what of them calls are checked against."""
