"""The language: how a machine file is read, and the records that it becomes."""
