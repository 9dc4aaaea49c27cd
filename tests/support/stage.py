"""Where a command is run to be shown: with paths as long as those below HOME."""

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.loopback import Loopback

from .helper import EXECUTABLE, Authority, Helper
from .needs import SYSTEM_PATH

HOME = "/home/you"
LIFE = 42990.0  # seconds, of a token: its wording stays the same for half a minute


@contextlib.contextmanager
def stage(aws: Loopback, authority: Authority) -> Iterator[Helper]:
    """Give a helper whose home has as long a name as HOME: so its lines are wrapped as there."""
    home = Path("/tmp") / secrets.token_hex(2)
    home.mkdir(mode=0o700)
    try:
        helper = Helper(home, aws, authority)
        (home / "bin").mkdir()
        (home / "bin" / EXECUTABLE.name).symlink_to(EXECUTABLE)
        (home / "bin" / "docker").symlink_to("/bin/true")  # so that there is one, and at this path
        helper.executable = home / "bin" / EXECUTABLE.name
        helper.env |= {"PATH": f"{home}/bin:{SYSTEM_PATH}", "AWS_REGION": "eu-west-1"}
        del helper.env["AWS_ECR_CACHE_DIR"]
        aws.token_life = LIFE
        yield helper
    finally:
        shutil.rmtree(home)
