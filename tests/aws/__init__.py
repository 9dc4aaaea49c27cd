"""Tests of what is asked of AWS."""
