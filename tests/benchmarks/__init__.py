"""Whole-process benchmarks."""
