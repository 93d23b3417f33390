"""Actions: their contract, how they are found, and one built-in a file."""
