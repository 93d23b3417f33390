"""One machine: its actor, its interpreter, its actions, its mailbox."""
