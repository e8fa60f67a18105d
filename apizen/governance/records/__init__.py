"""What an operator sets and a database keeps: apps, bans, maintenance. What calls leave behind is kept in
`apizen.governance.stores`, and nowhere here.
"""
