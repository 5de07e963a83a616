"""The whole configuration, composed of every package's settings (design 8); `triaged.loading` reads it."""

from typing import Annotated

import msgspec
from msgspec import Meta

from intake.settings import IntakeSettings, sources_of
from itsm.service import Agent, Desk, Service, Team
from notifier.settings import NotifierSettings
from rules.authentication import TrustSettings
from rules.monitoring import EventPolicy
from rules.settings import RulesSettings
from store.settings import StoreSettings
from triaged.oauth.settings import OauthSettings
from triaged.settings import AgentSettings, DeskSettings, LogSettings, ProcessSettings, ServiceSettings, TeamSettings
from webportal.settings import WebportalSettings

ONE_TEAM = (TeamSettings(key="desk", name="Service Desk"),)


class Configuration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set. Every key has a default, except in the arrays of tables."""

    desk: Annotated[DeskSettings, Meta(description="The desk itself.")] = DeskSettings()
    team: Annotated[tuple[TeamSettings, ...], Meta(description="The teams; none: one team without an address.")] = ()
    agent: Annotated[tuple[AgentSettings, ...], Meta(description="The people who work tickets.")] = ()
    service: Annotated[tuple[ServiceSettings, ...], Meta(description="The services of the catalogue.")] = ()
    oauth: Annotated[tuple[OauthSettings, ...], Meta(description="Where tokens come from, for mailboxes and the relay.")] = ()
    intake: Annotated[IntakeSettings, Meta(description="The doors.")] = IntakeSettings()
    rules: Annotated[RulesSettings, Meta(description="How what comes in is judged.")] = RulesSettings()
    notifier: Annotated[NotifierSettings, Meta(description="What goes out.")] = NotifierSettings()
    webportal: Annotated[WebportalSettings, Meta(description="The JSON API.")] = WebportalSettings()
    store: Annotated[StoreSettings, Meta(description="The data directory.")] = StoreSettings()
    log: Annotated[LogSettings, Meta(description="The log on stderr.")] = LogSettings()
    process: Annotated[ProcessSettings, Meta(description="The process.")] = ProcessSettings()


def desk_of(configuration: Configuration) -> Desk:
    """The desk as rules and notifier know it; without a team there is one that has no address."""
    desk = configuration.desk
    return Desk(
        name=desk.name,
        address=desk.address,
        domain=desk.domain or desk.address.rpartition("@")[2],
        teams=tuple(
            Team(key=each.key, name=each.name, addresses=each.addresses, notify=each.notify) for each in configuration.team or ONE_TEAM
        ),
        agents=tuple(
            Agent(
                key=each.key,
                name=each.name,
                address=each.address,
                teams=each.teams,
                aliases=each.aliases,
                role=each.role,
                organisations=each.organisations,
            )
            for each in configuration.agent
        ),
        services=tuple(Service(key=each.key, name=each.name, team=each.team, tier=each.tier) for each in configuration.service),
        trusted_authserv_ids=configuration.intake.trusted_authserv_ids,
    )


def trust_of(intake: IntakeSettings) -> TrustSettings:
    """Whose word about a sender counts."""
    return TrustSettings(
        authserv_ids=intake.trusted_authserv_ids,
        handed_over_from=intake.smtp.trusted_networks,
        senders_of_login={each.name: each.senders for each in intake.smtp.login},
    )


def policies_of(configuration: Configuration) -> dict[str, EventPolicy]:
    """What each alert source says about its series."""
    gap_seconds = configuration.rules.gap_seconds
    return {
        each.name: EventPolicy(
            expire_after_seconds=each.expire_after_seconds,
            gap_seconds=gap_seconds if each.gap_seconds is None else each.gap_seconds,
            team=each.team,
            service=each.service,
        )
        for each in sources_of(configuration.intake)
    }
