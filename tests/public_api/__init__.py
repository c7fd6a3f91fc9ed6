"""Calls of the public API that work, by room."""
