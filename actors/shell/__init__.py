"""Values in shell commands: they reach the shell without becoming code."""
