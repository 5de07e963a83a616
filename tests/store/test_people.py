"""What the store knows of people, on either engine."""

from itsm.person import Person
from store import people
from store.store import Store


def test_a_language_is_found_by_every_address_of_its_person(store: Store) -> None:
    ana = Person(address="ana@corp.example", addresses=("ana@corp.example", "ana@home.example"), language="pt-BR")
    bo = Person(address="bo@corp.example", addresses=("bo@corp.example",))
    store.write(lambda tx: people.write_people(tx, [("added", each, (), {}) for each in (ana, bo)], "operator:test")).result(10)
    asked = ("Ana@Home.example", "ana@corp.example", "bo@corp.example", "nobody@corp.example")
    assert store.read(lambda tx: people.languages(tx, asked)) == {"ana@home.example": "pt-BR", "ana@corp.example": "pt-BR"}
    assert store.read(lambda tx: people.languages(tx, ())) == {}
