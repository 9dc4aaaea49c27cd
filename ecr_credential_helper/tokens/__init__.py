"""Authorization tokens: the cache, the identity they are kept for, and how they are fetched."""
