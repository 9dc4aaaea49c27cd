"""What PyInstaller freezes: the program, without an installation around it.

Its start-up code sets LD_LIBRARY_PATH and variables of its own. They are removed again: otherwise
a credential_process would load our libraries instead of its own, and a background refresh would
believe that it is a part of this process.
"""

import os

before = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
os.environ.pop("LD_LIBRARY_PATH", None)
if before is not None:
    os.environ["LD_LIBRARY_PATH"] = before
for name in [name for name in os.environ if name.startswith("_PYI_")]:
    del os.environ[name]

from ecr_credential_helper.cli import main  # noqa: E402 - only after the variables are removed

main()
