"""The commands of `statemachine-system`."""
