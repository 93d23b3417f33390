"""The language: the records of a machine, and the readers of its file."""
