"""`python -m ecr_credential_helper` runs the helper where its executable is not on PATH."""

from .cli import main

main()
