"""Tests of the tokens at hand."""
