"""Child processes, commands, and how a process is recognised."""
