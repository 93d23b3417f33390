"""The seed engine's import path of the engine."""
