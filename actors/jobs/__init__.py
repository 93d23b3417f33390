"""The job that a machine holds, and how it appears in the context."""
