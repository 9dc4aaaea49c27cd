"""Asking AWS for an authorization token, and saying in plain words what went wrong."""
