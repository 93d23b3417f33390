"""The commands of `statemachine-db`."""
