"""Series, episodes and their incidents: right in any order of arrival, however often each delivery comes."""

import itertools
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itsm.decision import ChangeTicket, KeepSeries, LinkTickets, Notify, OpenTicket, SetTimer
from itsm.envelope import Channel, Outcome
from itsm.notification import Event
from itsm.series import MAX_INSTANCES, Instance, SeriesState
from itsm.signal import EventStatus, ResolveScope, Severity, TimerDue
from itsm.ticket import OPEN_STATES, State
from rules.monitoring import EventPolicy, decide_event, decide_expiry
from rules.series import assign, content_hash, end_of, episodes, has_open, is_open, merge, unchanged, worst
from rules.settings import Rule
from rules.snapshot import EventSnapshot
from tests.rules.worlds import DESK, NOW, changed, effects, envelope, event, ruleset, ticket

RULES = ruleset()
WHERE = envelope(channel=Channel.HTTP, source="am", format="alertmanager", reverse_path=None, forward_paths=())
MINUTE = timedelta(minutes=1)


def at(minutes):
    return NOW + minutes * MINUTE


class World:
    """A tiny casework: applies decisions to one series and its tickets, in memory."""

    def __init__(self, *, gap_seconds=0, expire=None, rules=RULES):
        self.state = SeriesState(id=500, source="am", series_key="disk/db1")
        self.tickets = {}
        self.told = []
        self.timer = None
        self.policy = EventPolicy(gap_seconds=gap_seconds, expire_after_seconds=expire)
        self.rules = rules

    def deliver(self, signal, now=None, received=None):
        when = now or NOW + timedelta(days=1)
        decision = decide_event(
            signal,
            changed(WHERE, received_at=received or when),
            EventSnapshot(series=self.state, tickets=dict(self.tickets)),
            policy=self.policy,
            ruleset=self.rules,
            desk=DESK,
            now=when,
        )
        self.apply(decision)
        return decision

    def expire(self, now, generation=1, stored=1):
        due = TimerDue(subject_kind="series", subject_id=500, kind="expiry", generation=generation, due_at=now)
        snapshot = EventSnapshot(series=self.state, tickets=dict(self.tickets))
        decision = decide_expiry(due, snapshot, stored, policy=self.policy, ruleset=self.rules, desk=DESK, now=now)
        self.apply(decision)
        return decision

    def apply(self, decision):
        handles = {}
        for opened in effects(decision, OpenTicket):
            handles[opened.ticket.id] = len(self.tickets) + 1
            self.tickets[handles[opened.ticket.id]] = changed(opened.ticket, id=handles[opened.ticket.id], number=1000 + len(self.tickets))
        for change in effects(decision, ChangeTicket):
            self.tickets[change.before.id] = change.after
        for kept in effects(decision, KeepSeries):
            instances = tuple(changed(each, ticket_id=handles.get(each.ticket_id, each.ticket_id)) for each in kept.state.instances)
            self.state = changed(kept.state, instances=instances)
        self.told += [notify.event for notify in effects(decision, Notify) if notify.suppressed_because is None]
        for timer in effects(decision, SetTimer):
            if timer.kind == "expiry":
                self.timer = timer.due_at

    def outcome(self, now):
        """What may not depend on order: per episode its members, whether it is open, severity, start and end."""
        found = episodes(self.state, gap_seconds=self.policy.gap_seconds, now=now)
        tickets = [self.tickets[each.instances[0].ticket_id] for each in found]
        members = [tuple(instance.started_at for instance in each.instances) for each in found]
        same = [len({instance.ticket_id for instance in each.instances}) for each in found]
        return [
            (
                member,
                one,
                found_ticket.state in OPEN_STATES,
                found_ticket.severity,
                found_ticket.impact_started_at,
                found_ticket.impact_ended_at,
            )
            for member, one, found_ticket in zip(members, same, tickets, strict=True)
        ]


def fire(start=0, severity=Severity.CRITICAL, seen=None, until=None, scope=ResolveScope.SERIES, **more):
    return event(
        started_at=at(start),
        severity=severity,
        observed_at=at(start if seen is None else seen),
        valid_until=None if until is None else at(until),
        scope=scope,
        **more,
    )


def resolve(start=0, end=10, scope=ResolveScope.SERIES, **more):
    return event(status=EventStatus.RESOLVED, started_at=at(start), ended_at=at(end), observed_at=at(end), scope=scope, **more)


def test_fire_copy_resolve_make_one_incident_that_opens_and_closes():
    world = World()
    assert world.deliver(fire()).outcome is Outcome.CREATED
    assert world.deliver(fire()).outcome is Outcome.DUPLICATE
    assert world.deliver(resolve()).outcome is Outcome.APPENDED
    assert world.deliver(resolve()).outcome is Outcome.DUPLICATE
    assert [each.state for each in world.tickets.values()] == [State.RESOLVED]
    assert world.told == [Event.TEAM_ALERT_OPENED, Event.TEAM_ALERT_RESOLVED]
    assert world.state.event_count == 4


def test_a_resolve_that_comes_first_ends_what_comes_later():
    world = World()
    assert world.deliver(resolve()).outcome is Outcome.RECORDED
    decision = world.deliver(fire())
    assert decision.outcome is Outcome.CREATED
    assert world.tickets[1].state is State.RESOLVED
    assert world.told == []


def test_a_stale_resolve_does_not_close_a_newer_firing():
    world = World()
    world.deliver(fire(20))
    world.deliver(resolve(0, 10))
    assert world.tickets[1].state is State.NEW


def test_crit_ok_crit_with_equal_text_is_not_lost():
    world = World()
    world.deliver(fire(0))
    world.deliver(resolve(0, 5))
    world.deliver(fire(10))
    assert [each.state for each in world.tickets.values()] == [State.RESOLVED, State.NEW]


def test_a_series_that_fires_again_within_the_gap_reopens_its_incident():
    world = World(gap_seconds=900)
    world.deliver(fire(0))
    world.deliver(resolve(0, 5))
    world.deliver(fire(10))
    assert len(world.tickets) == 1
    assert (world.tickets[1].state, world.tickets[1].reopen_count) == (State.NEW, 1)


def test_two_prometheus_replicas_make_one_incident_that_ends_with_the_last():
    world = World()
    one = {"scope": ResolveScope.INSTANCE}
    world.deliver(fire(0, until=60, **one), now=at(1))
    world.deliver(fire(1, until=60, **one), now=at(2))
    world.deliver(resolve(0, 10, **one), now=at(11))
    assert [each.state for each in world.tickets.values()] == [State.NEW]
    world.deliver(resolve(1, 11, **one), now=at(12))
    assert [each.state for each in world.tickets.values()] == [State.RESOLVED]


def test_a_lost_resolve_is_mended_by_expiry():
    world = World(expire=600)
    world.deliver(fire(0), now=at(0))
    assert world.timer == at(10)
    world.expire(at(5))
    assert world.tickets[1].state is State.NEW
    world.expire(at(10))
    assert world.tickets[1].state is State.RESOLVED


def test_a_re_send_extends_its_validity():
    world = World(expire=600)
    world.deliver(fire(0), now=at(0))
    world.deliver(fire(0, seen=5), now=at(5))
    assert world.timer == at(15)


def test_an_outdated_expiry_is_a_recorded_no_op():
    world = World(expire=600)
    world.deliver(fire(0), now=at(0))
    assert world.expire(at(10), stored=2).outcome is Outcome.RECORDED
    due = TimerDue(subject_kind="series", subject_id=1, kind="expiry", generation=1, due_at=NOW)
    gone = decide_expiry(due, None, 1, policy=EventPolicy(), ruleset=RULES, desk=DESK, now=NOW)
    assert gone.outcome is Outcome.RECORDED


def test_severity_and_priority_follow_the_newest_word():
    world = World()
    world.deliver(fire(0, Severity.WARNING))
    world.deliver(fire(0, Severity.CRITICAL, seen=5))
    assert (world.tickets[1].severity, world.tickets[1].priority) == ("critical", 2)
    world.deliver(fire(0, Severity.INFO, seen=2))
    assert world.tickets[1].severity == "critical"


def test_an_acknowledgement_is_counted_and_changes_nothing():
    world = World()
    world.deliver(fire())
    decision = world.deliver(event(status=EventStatus.ACKNOWLEDGED))
    assert decision.outcome is Outcome.DUPLICATE
    assert world.state.event_count == 2


def test_events_without_a_time_join_the_open_instance():
    world = World()
    for minute in range(3):
        world.deliver(event(started_at=None, text=f"{minute}"), now=at(minute))
    assert len(world.tickets) == 1
    assert len(world.state.instances) == 1
    world.deliver(event(started_at=None, status=EventStatus.RESOLVED), now=at(5))
    assert world.tickets[1].state is State.RESOLVED
    world.deliver(event(started_at=None), now=at(50))
    assert len(world.tickets) == 2


def test_a_person_who_resolves_is_not_overruled_by_a_re_send_but_by_a_new_instance():
    world = World(gap_seconds=900)
    world.deliver(fire(0))
    world.tickets[1] = changed(world.tickets[1], state=State.RESOLVED, resolution_code="fixed", assignee="ben")
    world.deliver(fire(0, text="other words", seen=1))
    assert world.tickets[1].state is State.RESOLVED
    world.deliver(fire(3))
    assert world.tickets[1].state is State.IN_PROGRESS


def test_a_closed_incident_is_followed_by_a_new_linked_one():
    world = World(gap_seconds=900)
    world.deliver(fire(0))
    world.tickets[1] = changed(world.tickets[1], state=State.CLOSED)
    decision = world.deliver(fire(3))
    assert decision.outcome is Outcome.CREATED
    assert effects(decision, LinkTickets)[0].kind == "follows"
    assert world.tickets[1].state is State.CLOSED


def test_severity_of_a_closed_incident_is_kept_with_its_priority():
    world = World()
    world.deliver(fire(0, Severity.WARNING))
    before = world.tickets[1] = changed(world.tickets[1], state=State.CLOSED)
    world.deliver(fire(0, Severity.CRITICAL, seen=5))
    assert world.tickets[1].priority == before.priority


def test_a_rule_may_suppress_and_the_state_is_kept_all_the_same():
    world = World(rules=ruleset(rule=(Rule(key="q", when={"severity": "critical"}, suppress=True),)))
    assert world.deliver(fire(0)).outcome is Outcome.SUPPRESSED
    assert world.tickets == {}
    assert world.deliver(resolve(0, 5, severity=Severity.INFO)).outcome is Outcome.RECORDED
    assert world.deliver(fire(20, Severity.WARNING)).outcome is Outcome.CREATED
    assert len(world.tickets) == 1


def test_the_source_and_the_rules_say_whose_incident_it_is():
    world = World()
    world.policy = EventPolicy(team="net", service="mail")
    world.deliver(fire(0))
    assert (world.tickets[1].team, world.tickets[1].service, world.tickets[1].priority) == ("net", "mail", 1)


def test_an_incident_whose_episode_joins_an_earlier_one_is_given_up():
    world = World()
    world.deliver(fire(0))
    world.deliver(resolve(0, 5))
    world.deliver(fire(20))
    assert len(world.tickets) == 2
    joined = fire(3, scope=ResolveScope.INSTANCE)
    world.state = changed(world.state, resolves=())
    world.deliver(joined)
    assert world.tickets[2].resolution_code == "merged_with_earlier_episode"
    assert world.tickets[1].state is State.NEW
    world.deliver(fire(4, scope=ResolveScope.INSTANCE))
    assert len(world.tickets) == 2


deliveries = st.lists(
    st.one_of(
        st.builds(
            lambda s, sev, seen, until: fire(s, sev, s + seen, until=s + until, scope=ResolveScope.INSTANCE),
            st.integers(0, 30),
            st.sampled_from([Severity.CRITICAL, Severity.WARNING]),
            st.integers(0, 5),
            st.integers(6, 40),
        ),
        st.builds(
            lambda s, sev, seen: fire(s, sev, s + seen),
            st.integers(0, 30),
            st.sampled_from([Severity.CRITICAL, Severity.WARNING]),
            st.integers(0, 5),
        ),
        st.builds(lambda s, d: resolve(s, s + d), st.integers(0, 30), st.integers(0, 15)),
        st.builds(lambda s, d: resolve(s, s + d, scope=ResolveScope.INSTANCE), st.integers(0, 30), st.integers(0, 15)),
    ),
    min_size=1,
    max_size=7,
)


@given(deliveries, st.randoms(use_true_random=False), st.sampled_from([0, 300]))
def test_order_and_duplication_of_deliveries_change_nothing_that_counts(given_deliveries, random, gap):
    now = at(24 * 60)
    straight, shuffled = World(gap_seconds=gap), World(gap_seconds=gap)
    for each in given_deliveries:
        straight.deliver(each, now=now)
    again = given_deliveries + [random.choice(given_deliveries) for _ in range(3)]
    random.shuffle(again)
    for each in again:
        shuffled.deliver(each, now=now)
    assert straight.outcome(now) == shuffled.outcome(now)


@given(deliveries, st.randoms(use_true_random=False))
def test_merging_is_commutative_and_idempotent(given_deliveries, random):
    def merged(order):
        state = SeriesState(id=1, source="am", series_key="k")
        for each in order:
            state = merge(state, each, received_at=at(100), expire_after_seconds=None)
        instances = tuple(changed(each, event_count=0) for each in state.instances)
        return instances, state.resolves

    again = given_deliveries * 2
    random.shuffle(again)
    assert merged(given_deliveries) == merged(again)


def test_instances_are_bounded_and_the_oldest_ended_is_forgotten():
    state = SeriesState(id=1, source="am", series_key="k")
    for minute in range(MAX_INSTANCES + 5):
        state = merge(state, fire(minute), received_at=NOW, expire_after_seconds=None)
    assert len(state.instances) == MAX_INSTANCES
    assert state.instances[0].started_at == at(5)
    state = changed(state, instances=(*state.instances[:-1], changed(state.instances[-1], ended_at=at(500))))
    state = merge(state, fire(1000), received_at=NOW, expire_after_seconds=None)
    assert len(state.instances) == MAX_INSTANCES
    assert state.instances[0].started_at == at(5)


def test_an_unchanged_re_send_is_known_by_its_content_and_start():
    state = merge(SeriesState(id=1, source="am", series_key="k"), fire(), received_at=NOW, expire_after_seconds=None)
    assert unchanged(state, fire())
    assert not unchanged(state, fire(text="other"))
    assert not unchanged(state, event(started_at=None))
    assert not unchanged(changed(state, instances=()), fire())
    acked = event(status=EventStatus.ACKNOWLEDGED)
    assert not unchanged(changed(state, content_sha256=content_hash(acked)), acked)


def test_an_instance_ends_at_the_earliest_stated_end():
    instance = Instance(started_at=at(5), ended_at=at(20), valid_until=at(30))
    assert end_of(instance, [at(1), at(10)]) == at(10)
    assert end_of(instance, []) == at(20)
    assert is_open(instance, [], at(19))
    assert not is_open(instance, [], at(20))
    assert worst([]) is Severity.UNKNOWN


def test_an_endless_delivery_makes_an_instance_endless_for_good():
    state = SeriesState(id=1, source="am", series_key="k")
    for each, expire in itertools.chain([(fire(), None)], [(fire(seen=1), 60)]):
        state = merge(state, each, received_at=NOW, expire_after_seconds=expire)
    assert state.instances[0].valid_until is None


minutes = st.none() | st.integers(0, 40).map(at)
fired = st.builds(
    Instance,
    started_at=st.integers(0, 30).map(at),
    ended_at=minutes,
    valid_until=minutes,
    severity=st.sampled_from(Severity),
    fired=st.just(True),
)


@given(fired, st.lists(st.integers(0, 40).map(at), max_size=3), st.integers(0, 40).map(at), st.sampled_from([0, 300]))
def test_a_series_of_one_instance_has_the_episode_that_the_instance_and_its_double_have(instance, resolves, now, gap):
    one = SeriesState(source="am", series_key="k", instances=(instance,), resolves=tuple(resolves))
    twice = msgspec.structs.replace(one, instances=(instance, instance))
    [alone], joined = episodes(one, gap_seconds=gap, now=now), episodes(twice, gap_seconds=gap, now=now)
    if len(joined) == 1:  # what ended before it began does not join even its double
        assert alone == msgspec.structs.replace(joined[0], instances=(instance,))
    assert has_open(one, now) is alone.open is any(each.open for each in joined)


@pytest.mark.parametrize("held", [(5, 5), (5, 6), (None, 6), (None, None)])
def test_an_episode_takes_its_lowest_ticket(held):
    instances = tuple(Instance(started_at=at(index), fired=True, ticket_id=each) for index, each in enumerate(held))
    chosen, lost = assign(episodes(SeriesState(source="am", series_key="k", instances=instances), gap_seconds=0, now=NOW))
    known = sorted({each for each in held if each is not None})
    assert chosen == (known[0] if known else None,)
    assert lost == tuple(known[1:])


def test_two_episodes_of_one_ticket_keep_it_for_the_first():
    instances = tuple(Instance(started_at=at(index * 60), ended_at=at(index * 60 + 1), fired=True, ticket_id=9) for index in range(2))
    chosen, lost = assign(episodes(SeriesState(source="am", series_key="k", instances=instances), gap_seconds=0, now=NOW))
    assert (chosen, lost) == ((9, None), ())


def test_a_snapshot_travels_as_values():
    assert msgspec.json.decode(msgspec.json.encode(ticket()), type=type(ticket())) == ticket()
