"""A Docker credential helper for Amazon ECR."""

__version__ = "0.1.0"
