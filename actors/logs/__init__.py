"""Log lines: their format, and a writer that never blocks a machine."""
