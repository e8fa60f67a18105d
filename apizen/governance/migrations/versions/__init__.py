"""The revisions, oldest first. One that was released stays as it is: what changes later is a revision of its own."""
