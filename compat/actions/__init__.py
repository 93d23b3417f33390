"""The seed engine's import path of the action base class."""
