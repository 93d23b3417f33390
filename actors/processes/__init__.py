"""Child processes, commands, and checks whether other processes live."""
