"""`triaged db reindex` on either engine: what was written without its words is found again, and nothing is indexed twice."""

from sqlalchemy import delete

from itsm.words import terms
from store import search, tickets
from tests.casework.desks import TestDesk, mail

__all__ = ["mail"]


def test_what_code_of_the_version_before_wrote_is_found_after_a_reindex(site, make_place, mail):
    settings = make_place()
    if settings.postgres is not None:
        site.configure(f'[store.postgres]\nurl = "{settings.postgres.url}"\n')
    desk = TestDesk(settings)
    desk.put(mail("one", "Printer 4F jams"))
    desk.put(mail("two", "The door is stuck"))
    desk.triage()
    desk.store.write(
        lambda tx: tx.connection.execute(delete(search.search_words).where(search.search_words.c.desk_id == tx.desk_id)).rowcount
    )
    desk.store.close()
    assert site.command("db", "reindex", "--json").json() == [{"rows": 2}]
    told = site.command("db", "reindex")
    assert (told.code, "Nothing to do" in told.err) == (0, True)
    desk = TestDesk(settings)
    found = desk.store.read(lambda tx: tickets.listed(tx, terms=terms("printer jams")))
    assert [each.subject for each in found] == ["Printer 4F jams"]
    desk.store.close()
