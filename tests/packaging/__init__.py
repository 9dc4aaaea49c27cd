"""Tests of what is given out, and of the C program in it."""
