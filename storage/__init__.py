"""The durable side: jobs, mailbox, machines and audit log behind one URL."""
