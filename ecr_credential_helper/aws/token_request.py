"""A request for an authorization token, and the words that describe it in an error message."""

import os

from ecr_credential_helper.errors import HelperError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ecr_credential_helper.settings import Target
    from ecr_credential_helper.system.deadline import Deadline

CONNECT_TIMEOUT = 5.0  # seconds
READ_TIMEOUT = 10.0

# Credential sources that belong to no profile, as botocore names them.
_PLACES = {
    "env": "the keys in the environment",
    "iam-role": "the role of this instance",
    "container-role": "the role of this container",
}
_SEE_WHAT_HANGS = (
    "see what hangs (credential_process, IMDS, proxy, network), or raise AWS_ECR_TIMEOUT"
)


class Answer:
    """An answer over HTTP: its status, its headers with names in lower case, its whole body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: "Mapping[str, str]", body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class TokenRequest:
    """A request for an authorization token, from the search for credentials to the answer.

    `source` is the credential source that was found, as botocore names it, empty until then. `step`
    is the call in progress between there and GetAuthorizationToken, such as "sts:AssumeRole", else
    empty. `profiles` are those of the AWS config files, with their settings, as botocore parsed
    them.

    `deadline` bounds it. `tries` is how often the call in progress was sent, `trouble` how it last
    failed, None if it has not. `answers` has what the direct lane was answered, or how it
    failed once a request was sent, by method and URL. `note` takes a line for the debug log.
    """

    def __init__(
        self,
        target: "Target",
        deadline: "Deadline",
        note: "Callable[[str], None]" = lambda _line: None,
    ) -> None:
        self.target = target
        self.deadline = deadline
        self.note = note
        self.answers: dict[tuple[str, str], Answer | ConnectionError | TimeoutError] = {}
        self.tries = 0
        self.trouble: HelperError | None = None
        self.source = ""
        self.step = ""
        self.profiles: Mapping[str, Mapping[str, object]] = {}

    @property
    def action(self) -> str:
        """The IAM action that is needed: "ecr:GetAuthorizationToken", or that of ECR Public."""
        return f"{self.target.registry.service}:GetAuthorizationToken"

    @property
    def region(self) -> str:
        """The region whose endpoint is asked."""
        return self.target.registry.region

    @property
    def profile(self) -> str:
        """The AWS profile that was chosen, in botocore's order; empty for the default one."""
        named = (os.environ.get(name) for name in ("AWS_DEFAULT_PROFILE", "AWS_PROFILE"))
        return self.target.profile or next(filter(None, named), "")

    @property
    def origin(self) -> str:
        """The profile at the end of the chosen profile's chain of source_profile settings."""
        name, passed = self.profile, set[str]()
        while name not in passed:
            passed.add(name)
            settings = self.profiles.get(name or "default", {})
            if "role_arn" in settings:
                name = str(settings.get("source_profile", name))
        return name

    @property
    def who(self) -> str:
        """The identity that asks, in words: role, profile and source, never a key."""
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
        """What was asked and as whom, for the beginning of a message."""
        if self.step:
            return f"{self.step} for {self.who}"
        if not self.source:
            return f"the search for AWS credentials of {self.who}"
        return f"{self.action} in {self.region} as {self.who}"

    @property
    def overdue(self) -> HelperError:
        """The error if the deadline were now: how the call last failed, or that it hangs."""
        trouble = self.trouble  # the thread that asks may change it at any time
        if trouble:
            return self.tried(trouble)
        message = f"{self.asked} got no answer within {self.deadline.seconds:g} s"
        return HelperError(message, _SEE_WHAT_HANGS)

    def tried(self, error: HelperError) -> HelperError:
        """Return `error` with how often the call that failed was tried, and for how long."""
        if self.tries <= 1:
            return error
        tried = f"(tried {self.tries} times in {self.deadline.passed:.0f} s)"
        return error.with_message(f"{error.message} {tried}")


def profile_in_words(profile: str) -> str:
    """Return the words for an AWS profile in a message; empty is the default one."""
    return f"profile {profile}" if profile else "the default profile"


def with_profile(command: str, profile: str) -> str:
    """Return the AWS CLI's `command` with the option for `profile`; empty is the default one."""
    return f"{command} --profile {profile}" if profile else command
