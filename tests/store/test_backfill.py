"""What an upgrade fills in for the rows there are."""

from itsm.permission import Visible
from itsm.person import Organisation, Person
from store import backfill, people, tickets
from tests.rules.worlds import ticket


def test_tickets_get_the_organisation_of_their_requester_or_of_the_domain(store):
    def before(tx):
        people.write_organisations(
            tx, [("created", Organisation(key=key, name=key, domains=(f"{key}.example",)), {}) for key in ("acme", "globex")], "x"
        )
        person = Person(address="gus@home.example", addresses=("gus@home.example",), organisation="globex")
        people.write_people(tx, [("created", person, (), {})], "x")
        writers = ("ana@acme.example", "gus@home.example", "eve@acme.example.evil", "nil@xacme.example", "")
        tickets.insert_many(tx, [ticket(id=tx.new_id(), number=n, requester=each) for n, each in enumerate(writers, 1)])
        backfill.fill(tx.connection, ["0001_expand", "0004_expand"])

    store.write(before).result(10)
    found = store.read(tickets.listed)
    assert {each.number: each.organisation for each in found} == {1: "acme", 2: "globex", 3: "", 4: "", 5: ""}
    assert [each.number for each in store.read(lambda tx: tickets.listed(tx, visible=Visible(organisations=("acme",))))] == [1]
