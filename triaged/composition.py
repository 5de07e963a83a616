"""Puts configuration and signing keys together into the values that workers and doors ask for; replaced whole at a reload."""

from collections.abc import Sequence

import msgspec

from casework.context import Casework
from intake.context import GenericMapping
from intake.http import Secret
from intake.settings import Source, sources_of
from intake.smtp.policy import Policy, policy_of
from itsm.errors import Permanent
from notifier.render import Identity
from rules.ruleset import compile_ruleset
from triaged.configuration import Configuration, desk_of, policies_of, trust_of
from triaged.secret import secret_of

Keys = Sequence[tuple[int, bytes]]


class InForce(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a reload may change."""

    configuration: Configuration
    casework: Casework
    policy: Policy
    identity: Identity
    sources: dict[str, Source]
    secrets: dict[str, Secret]
    mappings: dict[str, GenericMapping]


def casework_of(configuration: Configuration, keys: Keys) -> Casework:
    """What `handle`, `perform` and `tick` judge by; raises Permanent when a rule cannot be used, which `check` has refused before."""
    ruleset, errors = compile_ruleset(configuration.rules)
    if errors:
        raise Permanent("; ".join(f"rule {error.rule}: {error.message}" for error in errors))
    return Casework(
        ruleset=ruleset,
        desk=desk_of(configuration),
        keys=tuple(keys),
        trust=trust_of(configuration.intake),
        sources=policies_of(configuration),
    )


def in_force(configuration: Configuration, keys: Keys) -> InForce:
    """Read the secrets and put everything together; raises Permanent when a file of secrets cannot be read."""
    casework = casework_of(configuration, keys)
    desk, intake = casework.desk, configuration.intake
    sources = {source.name: source for source in sources_of(intake)}
    passwords = {login.name: secret_of(login.password_file) for login in intake.smtp.login}
    return InForce(
        configuration=configuration,
        casework=casework,
        policy=policy_of(intake.smtp, desk, passwords),
        identity=Identity(name=desk.name, address=desk.address, domain=desk.domain),
        sources=sources,
        secrets={name: _secret(source) for name, source in sources.items()},
        mappings={name: source.mapping for name, source in sources.items() if source.mapping is not None},
    )


def _secret(source: Source) -> Secret:
    token = secret_of(source.token_file) if source.authentication == "token" and source.token_file else ""
    hmac_key = secret_of(source.hmac_file) if source.authentication == "hmac" else ""
    return Secret(token=token, hmac_key=hmac_key)
