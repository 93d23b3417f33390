"""Event-driven state machines: YAML machines that run real jobs."""
