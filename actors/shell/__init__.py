"""Values in shell commands: how they reach the shell without becoming code."""
