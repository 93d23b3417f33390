"""Counters, and outages of what the engine depends on."""
