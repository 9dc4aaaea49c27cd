"""`python -m ecr_credential_helper`: the executable without its file on PATH."""

from .cli import main

main()
