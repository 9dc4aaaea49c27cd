"""The tokens at hand: where they are kept, for which identity, and how a new one is fetched."""
