"""What the present AWS settings lead to: a region, and the registry of an account in it."""

import os

from ecr_credential_helper.aws.token_request import TokenRequest
from ecr_credential_helper.errors import HelperError
from ecr_credential_helper.registry import Registry, host_of
from ecr_credential_helper.settings import Target
from ecr_credential_helper.system.deadline import Deadline

_GIVE_IT = "give --account, which asks nobody"


def region(chosen: str = "", profile: str = "") -> str:
    """Return the region `chosen`, else that of AWS_REGION, else that of the AWS profile.

    Raises HelperError if there is none, or if it is no name of a region.
    """
    found = chosen or os.environ.get("AWS_REGION") or _of_profile(profile)
    if not found:
        raise HelperError(
            "no region: the AWS settings name none", "give --region, or set AWS_REGION"
        )
    if host_of(found) != found or "." in found:
        raise HelperError(f"{found!r} is no AWS region", "name one such as eu-west-1")
    return found


def account(region: str) -> tuple[str, str]:
    """Return the account that AWS says we are, and in words by what. Raises HelperError.

    Where only ECR is in reach, as with a VPC endpoint for it, nobody says so, and a pull works.
    """
    from ecr_credential_helper.aws.caller import account_of

    request = TokenRequest(Target(Registry("", region=region)), Deadline())
    try:
        return account_of(request), request.who
    except HelperError as error:
        if request.step:  # the credentials were found
            error.hint = f"{error.hint}; or {_GIVE_IT}" if error.hint else _GIVE_IT
        raise


def _of_profile(profile: str) -> str:
    from ecr_credential_helper.aws.ecr import default_region

    return default_region(profile)
