"""What the interpreter of the directory runs: the program, as if the machine had started it.

The front door (front/front.c) starts the interpreter by the directory's own loader, and passes
the name that it was called by before the arguments. Variables that would steer the loader and the
C library it has hidden, by their first letter as a control character, and has set LC_ALL. The
variables are put right here, before anything that is started could inherit them.
"""

import os
import sys

HIDDEN = ("\x0cD_", "\x07LIBC_TUNABLES", "\x0cC_ALL")

del os.environ["LC_ALL"]
for name in [name for name in os.environ if name.startswith(HIDDEN)]:
    os.environ[chr(ord(name[0]) | 0x40) + name[1:]] = os.environ.pop(name)

# A refresh in the background starts the program anew, by the front door. sys.prefix would end at a
# colon in a path.
sys.executable = f"{os.path.dirname(os.path.dirname(sys.argv[0]))}/docker-credential-ecr"
sys.frozen = True  # type: ignore[attr-defined]  # what programs without an installation have
del sys.argv[0]

from ecr_credential_helper.cli import main  # noqa: E402 - only after the variables are put right

main()
