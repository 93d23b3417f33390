"""The store: jobs, mailboxes, the machine registry and the audit log behind one URL."""
