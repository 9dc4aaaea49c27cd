"""The helper under attack, under load and under fault: one module per subject, figures at the end.

`python -m tests.torture` does all of it; test_torture.py a bounded share, in `make test`.
"""

SUBJECTS = {
    "hosts": 0.05,
    "stdin": 0.1,
    "cache": 0.02,
    "crash": 0.01,
    "faults": 0.1,
    "users": 0.1,
    "aws": 0.05,
    "load": 0.04,
    "fleet": 0.05,
}
"""The subjects, and the share of each that is a test."""
