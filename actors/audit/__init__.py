"""The audit log: written in batches, published as it is written, followed by readers."""
