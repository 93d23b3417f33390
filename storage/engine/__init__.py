"""The database behind the URL: connections, dialects, schema."""
