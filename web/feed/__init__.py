"""The audit log as the page sees it: read once, kept for all clients."""
