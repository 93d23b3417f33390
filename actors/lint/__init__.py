"""Checks of a machine's file, each with a code: what the loader refuses, and what it cannot know."""
