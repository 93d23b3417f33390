"""Turns YAML machines into running actors."""
