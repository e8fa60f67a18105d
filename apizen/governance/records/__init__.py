"""What operators set and the database keeps: apps, bans, maintenance; counts and nonces of calls are no records."""
