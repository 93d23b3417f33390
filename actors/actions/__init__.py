"""The built-in actions, one a file, found the way a user's own are."""
