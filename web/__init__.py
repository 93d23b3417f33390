"""The monitor: a page, an API and a stream of everything that machines do."""
