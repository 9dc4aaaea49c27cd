"""The kubelet's own plugin code (go/kubelet) with the configurations that we give out."""

import json
import secrets
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.loopback import ACCOUNT, USER_ARN, Loopback, session_arn
from tests.support.clients_page import SHOWN
from tests.support.needs import built

from .clients import ClientUser, Seed, assert_no_secret, go_module
from .rig import PRIVATE

CONFIGURATIONS = Path(__file__).parents[2] / "packaging" / "kubelet"
NODE = CONFIGURATIONS / "credential-provider-config.yaml"
SERVICE_ACCOUNTS = CONFIGURATIONS / "credential-provider-config-service-accounts.yaml"
MIXED = CONFIGURATIONS / "credential-provider-config-mixed.yaml"
CACHE = "/var/cache/ecr-credential-helper"

ROLE = f"arn:aws:iam::{ACCOUNT}:role/image-pull"
OTHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/other"
TOKEN = "header.claims.signature"
OTHER_TOKEN = "header.other.signature"

Login = dict[str, str]
NO_LOGIN = {"username": "", "password": "", "serviceAccount": ""}


class Kubelet:
    """A node with the plugin code of a kubelet, whose providers are the helper of a user.

    The cache that a configuration names is the user's own here, and not the machine's.
    """

    def __init__(self, user: ClientUser, config: Path = NODE, programs: Path | None = None) -> None:
        self.user = user
        self.config = user.home / f"provider-{secrets.token_hex(4)}{config.suffix}"
        self.config.write_text(config.read_text().replace(CACHE, str(user.home / "kept")))
        self.programs = programs or user.home / "bin"
        self.program = built("go", "kubelet")
        user.record("version", go_module("k8s.io/kubernetes"))

    def run(self, *words: str, token: str = "") -> CompletedProcess[str]:
        """Look up the images that `words` end with, in one kubelet, as a pod that has a token."""
        variables = self.user.variables
        self.user.variables = variables | {"SERVICE_ACCOUNT_TOKEN": token}
        places = (f"-config={self.config}", f"-bin-dir={self.programs}")
        done = self.user.run(self.program, *places, *words, check=False)
        self.user.variables = variables
        assert_no_secret(self.user, CompletedProcess("", 0, "", done.stderr))
        assert token == "" or token not in done.stderr
        return done

    def logins(self, *words: str, token: str = "") -> list[Login]:
        """Return what the kubelet has for each image, of one provider."""
        done = self.run(*words, token=token)
        assert (done.returncode, done.stderr) == (0, "")
        found = all_logins(done)
        assert all(len(each) <= 1 for each in found)
        return [each[0] if each else NO_LOGIN for each in found]


def all_logins(done: CompletedProcess[str]) -> list[list[Login]]:
    """Return all logins that a kubelet has for each image, in the order in which it tries them."""
    return [json.loads(line) for line in done.stdout.splitlines()]


def pull(user: ClientUser, login: Login, seed: Seed) -> None:
    """Pull an image by a login of the kubelet's, as the container runtime does."""
    assert login["username"] == "AWS"
    user.use_password(PRIVATE, login["password"])
    user.docker("pull", seed.image)
    assert user.image_id(seed.image) == seed.id
    user.docker("rmi", seed.image)


@pytest.mark.client("kubelet", "pull", found="node's configuration")
def test_a_node_pulls_with_its_own_credentials(
    client_user: ClientUser, aws: Loopback, seed: Seed
) -> None:
    """The login is for the image's host, is the node's, and opens the registry."""
    [login] = Kubelet(client_user).logins(seed.image)

    pull(client_user, login, seed)
    assert aws.issued[login["password"]].principal == USER_ARN
    assert login["serviceAccount"] == ""
    assert [verb for verb, _ in client_user.calls()] == ["kubelet"]


@pytest.mark.client("kubelet", "pull in public, anonymous", found="node's configuration")
def test_a_public_image_needs_no_credentials(newcomer: ClientUser, public_seed: Seed) -> None:
    """Without AWS credentials there is no login, and so the runtime pulls anonymously."""
    done = Kubelet(newcomer).run(public_seed.image)

    assert all_logins(done) == [[]]
    newcomer.config.write_text("{}")
    newcomer.docker("pull", public_seed.image)
    newcomer.docker("rmi", public_seed.image)


@pytest.mark.parametrize("version", ["v1beta1", "v1alpha1"])
def test_an_older_configuration_does_as_well(
    client_user: ClientUser, seed: Seed, tmp_path: Path, version: str
) -> None:
    """The kubelet asks in the version that its configuration names, and takes no other answer."""
    older = tmp_path / "config.yaml"
    provider = "credentialprovider.kubelet.k8s.io"
    older.write_text(NODE.read_text().replace(f"{provider}/v1", f"{provider}/{version}"))

    [login] = Kubelet(client_user, older).logins(seed.image)

    assert login["username"] == "AWS"
    [(_, request)] = client_user.calls()
    assert json.loads(request)["apiVersion"] == f"{provider}/{version}"


def test_an_answer_is_kept_for_the_registry(client_user: ClientUser, seed: Seed) -> None:
    """All images of a registry have the login of one call; other hosts are no business of ours."""
    logins = Kubelet(client_user).logins(
        seed.image, seed.image, f"{PRIVATE}/team/other:2", "ghcr.io/team/app:1"
    )

    assert logins[0] == logins[1] == logins[2] != NO_LOGIN
    assert logins[3] == NO_LOGIN
    assert len(client_user.calls()) == 1


@pytest.mark.parametrize(("life", "calls"), [(43200.0, 1), (1.0, 2)])
def test_an_answer_is_kept_as_long_as_it_says(
    newcomer: ClientUser, aws: Loopback, seed: Seed, life: float, calls: int
) -> None:
    """Half of what the token has left; with nothing left the kubelet keeps nothing."""
    aws.add_role(ROLE, web_identity_token=TOKEN)
    aws.token_life = life

    Kubelet(newcomer, SERVICE_ACCOUNTS).run(
        "-service-account=puller", f"-role={ROLE}", seed.image, seed.image, token=TOKEN
    )

    assert len(newcomer.calls()) == calls


def test_an_answer_is_asked_for_anew_when_its_time_is_over(
    newcomer: ClientUser, aws: Loopback, seed: Seed
) -> None:
    """A kubelet that goes on looking up gets another login by itself."""
    aws.add_role(ROLE, web_identity_token=TOKEN)
    aws.token_life = 4.0

    first, second = Kubelet(newcomer, SERVICE_ACCOUNTS).logins(
        "-service-account=puller", f"-role={ROLE}", "-until-renewed=30s", seed.image, token=TOKEN
    )

    assert first["password"] != second["password"] != ""
    assert len(newcomer.calls()) == 2


@pytest.mark.client("kubelet", "pull", found="service accounts' configuration")
def test_a_pod_pulls_with_its_service_account(
    newcomer: ClientUser, aws: Loopback, seed: Seed
) -> None:
    """On a node without credentials the role of the service account's annotation pulls."""
    aws.add_role(ROLE, web_identity_token=TOKEN)

    [login] = Kubelet(newcomer, SERVICE_ACCOUNTS).logins(
        "-service-account=puller", f"-role={ROLE}", seed.image, token=TOKEN
    )

    pull(newcomer, login, seed)
    assert login["serviceAccount"] == "team/puller"
    assert aws.issued[login["password"]].principal == session_arn(ROLE, "ecr-credential-provider")
    assert newcomer.files_with(TOKEN) == newcomer.files_with(login["password"]) == []


def test_two_service_accounts_share_no_login(
    newcomer: ClientUser, aws: Loopback, seed: Seed
) -> None:
    """Each pulls as its own role, whatever another was given on the same node before."""
    aws.add_role(ROLE, web_identity_token=TOKEN)
    aws.add_role(OTHER_ROLE, web_identity_token=OTHER_TOKEN)
    node = Kubelet(newcomer, SERVICE_ACCOUNTS)

    [one] = node.logins("-service-account=one", f"-role={ROLE}", seed.image, token=TOKEN)
    [other] = node.logins(
        "-service-account=other", f"-role={OTHER_ROLE}", seed.image, token=OTHER_TOKEN
    )

    principals = [aws.issued[login["password"]].principal for login in (one, other)]
    assert principals == [
        session_arn(role, "ecr-credential-provider") for role in (ROLE, OTHER_ROLE)
    ]


def test_a_pod_without_a_service_account_gets_nothing_of_the_nodes(
    client_user: ClientUser, seed: Seed
) -> None:
    """Where the configuration asks for service accounts the node's credentials are not given."""
    assert Kubelet(client_user, SERVICE_ACCOUNTS).logins(seed.image) == [NO_LOGIN]
    assert client_user.calls() == []


@pytest.fixture
def node(client_user: ClientUser) -> Kubelet:
    """Give a test a node with credentials of its own and both providers of the mixed way."""
    (client_user.home / "bin" / "docker-credential-ecr-service-accounts").symlink_to(
        client_user.home / "bin" / "docker-credential-ecr"
    )
    return Kubelet(client_user, MIXED)


def test_of_two_providers_the_role_of_a_pod_comes_first(
    node: Kubelet, aws: Loopback, seed: Seed
) -> None:
    """A pod whose service account has a role pulls with it; the node's login comes after that."""
    aws.add_role(ROLE, web_identity_token=TOKEN)

    done = node.run("-service-account=puller", f"-role={ROLE}", seed.image, token=TOKEN)

    [[first, second]] = all_logins(done)
    assert done.stderr == ""
    principals = [aws.issued[login["password"]].principal for login in (first, second)]
    assert principals == [session_arn(ROLE, "ecr-credential-provider"), USER_ARN]
    assert [first["serviceAccount"], second["serviceAccount"]] == ["team/puller", ""]
    pull(node.user, first, seed)
    assert node.user.files_with(TOKEN) == node.user.files_with(first["password"]) == []


@pytest.mark.parametrize("words", [(), ("-service-account=other",)], ids=["no account", "no role"])
def test_of_two_providers_the_node_serves_the_rest(
    node: Kubelet, aws: Loopback, seed: Seed, words: tuple[str, ...]
) -> None:
    """Without the annotation no token of a service account is even asked for."""
    [login] = node.logins(*words, seed.image, token="not asked for")

    assert aws.issued[login["password"]].principal == USER_ARN
    assert login["serviceAccount"] == ""
    assert len(node.user.calls()) == 1
    assert aws.count("sts", "AssumeRoleWithWebIdentity") == 0


def test_of_two_providers_the_node_is_left_where_sts_refuses_the_role(
    node: Kubelet, aws: Loopback, seed: Seed
) -> None:
    """The kubelet logs the refusal and goes on to the node's login, as the manual says."""
    aws.add_role(ROLE, web_identity_token=OTHER_TOKEN)

    done = node.run("-service-account=puller", f"-role={ROLE}", seed.image, token=TOKEN)

    [[login]] = all_logins(done)
    assert aws.issued[login["password"]].principal == USER_ARN
    assert f"for role {ROLE} of the service account was refused" in done.stderr


@pytest.mark.client("kubelet", SHOWN, found="node's configuration")
def test_what_the_kubelet_logs_of_a_failure(
    client_user: ClientUser, seed: Seed, failure: str
) -> None:
    """It logs the cause and what to do, and goes on without a login."""
    client_user.let_fail(failure)

    done = Kubelet(client_user).run(seed.image)

    assert all_logins(done) == [[]]
    log = CompletedProcess("", 0, "", done.stderr)
    assert "CAUSE" in client_user.sees(failure, log)


def test_what_the_kubelet_logs_of_a_token_that_sts_refuses(
    newcomer: ClientUser, aws: Loopback, seed: Seed
) -> None:
    """The pod's own trouble is named: the role that does not trust its service account."""
    aws.add_role(ROLE, web_identity_token=OTHER_TOKEN)

    done = Kubelet(newcomer, SERVICE_ACCOUNTS).run(
        "-service-account=puller", f"-role={ROLE}", seed.image, token=TOKEN
    )

    assert "Failed to provide credentials for image" in done.stderr
    assert 'serviceAccount="team/puller"' in done.stderr
    assert f"for role {ROLE} of the service account was refused" in done.stderr


@pytest.mark.parametrize("config", [NODE, SERVICE_ACCOUNTS, MIXED], ids=lambda path: path.stem)
def test_a_configuration_with_a_mistake_does_not_register(
    client_user: ClientUser, config: Path, seed: Seed, tmp_path: Path
) -> None:
    """The configurations that we give out are checked: the kubelet refuses what it cannot read."""
    broken = tmp_path / "config.yaml"
    broken.write_text(config.read_text().replace("matchImages:", "matchimage:"))

    done = Kubelet(client_user, broken).run(seed.image)

    assert done.returncode == 1
    assert "matchimage" in done.stderr
