"""Placeholders in texts, their filters and timestamps."""
