"""A request for an authorization token, described in the words that an error message needs."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ecr_credential_helper.settings import Target

# Sources that belong to no profile, as botocore names them.
_PLACES = {
    "env": "the keys in the environment",
    "iam-role": "the role of this instance",
    "container-role": "the role of this container",
}


class TokenRequest:
    """A request for an authorization token, from the search for credentials to the answer.

    `source` is the credential source that was found, as botocore names it, empty until then; `step`
    is what is asked on the way from there, "sts:AssumeRole" for one, and else empty;
    `profiles` are those of the AWS settings, as botocore parsed them, each with its settings.
    """

    def __init__(self, target: "Target") -> None:
        self.target = target
        self.source = ""
        self.step = ""
        self.profiles: Mapping[str, Mapping[str, object]] = {}

    @property
    def action(self) -> str:
        """The IAM action that is needed: "ecr:GetAuthorizationToken", or that of ECR Public."""
        return f"{self.target.registry.service}:GetAuthorizationToken"

    @property
    def region(self) -> str:
        """The region that is asked."""
        return self.target.registry.region

    @property
    def profile(self) -> str:
        """The AWS profile that was chosen, in botocore's order; empty for the default one."""
        named = (os.environ.get(name) for name in ("AWS_DEFAULT_PROFILE", "AWS_PROFILE"))
        return self.target.profile or next(filter(None, named), "")

    @property
    def origin(self) -> str:
        """The profile that a role of the chosen one begins with, where source_profile leads to."""
        name, passed = self.profile, set[str]()
        while name not in passed:
            passed.add(name)
            settings = self.profiles.get(name or "default", {})
            if "role_arn" in settings:
                name = str(settings.get("source_profile", name))
        return name

    @property
    def who(self) -> str:
        """As whom it is asked: role, profile and source, never a key."""
        if self.target.role and self.target.web_identity:
            return f"role {self.target.role.arn} of the service account"
        if self.source in _PLACES:
            who = _PLACES[self.source]
        elif not self.profile and "AWS_WEB_IDENTITY_TOKEN_FILE" in os.environ:
            who = f"role {os.environ.get('AWS_ROLE_ARN', '')} (web identity)"
        else:
            who = profile_in_words(self.profile)
            who += f" ({self.source})" if self.source else ""
        return f"role {self.target.role.arn} of {who}" if self.target.role else who

    @property
    def asked(self) -> str:
        """What was asked for and as whom, for the beginning of a message."""
        if self.step:
            return f"{self.step} for {self.who}"
        if not self.source:
            return f"the search for AWS credentials of {self.who}"
        return f"{self.action} in {self.region} as {self.who}"


def profile_in_words(profile: str) -> str:
    """Return how to speak of an AWS profile; empty is the default one."""
    return f"profile {profile}" if profile else "the default profile"


def with_profile(command: str, profile: str) -> str:
    """Return `command`, one of the AWS CLI, for an AWS profile; empty is the default one."""
    return f"{command} --profile {profile}" if profile else command
