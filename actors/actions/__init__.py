"""Actions: their base class, their registry, and one file for each built-in action."""
