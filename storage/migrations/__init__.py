"""Numbered schema changes, each applied with its record in one transaction."""
