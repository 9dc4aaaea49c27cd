"""Ask STS who the present AWS settings make us, with botocore."""

from typing import Any

from .ecr import found_by, quiet, session_for
from .error_messages import explain
from .token_request import TokenRequest


def account_of(request: TokenRequest) -> str:
    """Return the account of the credentials that the AWS settings lead to, by their own words.

    No permission is needed for it (sts:GetCallerIdentity, AWS STS API reference). `request` then
    says in words who that is. Raises NoAWSCredentials if there are no credentials, Denied if AWS
    refuses, HelperError for every other failure.
    """

    def ask() -> str:
        try:
            with quiet():
                session = session_for(request)
                found_by(session, request)
                request.step = "sts:GetCallerIdentity"
                sts: Any = session.create_client("sts", region_name=request.region)
                return str(sts.get_caller_identity()["Account"])
        except Exception as error:
            raise request.tried(explain(error, request)) from error

    return request.deadline.wait_for(ask, lambda: request.overdue)
