"""Ask AWS for an authorization token, and explain in plain words what went wrong."""
