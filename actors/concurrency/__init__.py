"""Threads, timers, cancellation and the event loop of async actions."""
