"""What the tests of the stand-in share: clients of AWS, plain requests, configuration files."""

import base64
import http.client
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.loaders import create_loader

from tests.loopback import ACCOUNT, Loopback

LOADER = create_loader()  # it keeps what it has read, which makes a client cheap
REGION = "eu-west-1"
PRIVATE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"


def client(service: str, region: str = REGION, **settings: Any) -> Any:
    """Return a client of a fresh session that tries once."""
    config = Config(**{"retries": {"total_max_attempts": 1}, "read_timeout": 10, **settings})
    session = botocore.session.Session()
    session.register_component("data_loader", LOADER)
    return session.create_client(service, region, config=config)


def caller() -> str:
    """Return the ARN that the environment's credentials belong to."""
    return str(client("sts").get_caller_identity()["Arn"])


def login(response: Any) -> tuple[str, str]:
    """Return the user and the password in ECR's or ECR Public's answer."""
    data = response["authorizationData"]
    entry = data[0] if isinstance(data, list) else data
    username, _, password = base64.b64decode(entry["authorizationToken"]).decode().partition(":")
    return username, password


def error_of(call: Callable[[], object]) -> tuple[str, str, int]:
    """Return code, message and HTTP status of the error that a call is answered with."""
    with pytest.raises(ClientError) as caught:
        call()
    response: Any = caught.value.response
    status = response["ResponseMetadata"]["HTTPStatusCode"]
    return response["Error"]["Code"], response["Error"]["Message"], status


def ask(
    aws: Loopback, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    """Send a plain request and return status, body and headers of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", aws.port, timeout=5)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body or None, names)
        response = connection.getresponse()
        return response.status, response.read(), dict(response.getheaders())
    finally:
        connection.close()


def write_config(home: Path, text: str) -> None:
    """Write the AWS configuration file."""
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / "config").write_text(text)


def iso(seconds: float) -> str:
    """Return the time so many seconds from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def ask_at_once(aws: Loopback, count: int, method: str, path: str) -> list[tuple[int, bytes]]:
    """Send so many plain requests at the same moment; return status and body of each answer."""
    barrier, answers = threading.Barrier(count), list[tuple[int, bytes]]()

    def one() -> None:
        barrier.wait()
        answers.append(ask(aws, method, path)[:2])

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
