"""End-to-end tests: a real Docker engine, a real registry and real clients."""
