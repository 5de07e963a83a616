"""The whole way beside other help desks. What is near the goal is measured in every round; the other takes long and is far from it."""

from bench.figure import Figure
from bench.peers import django_helpdesk, roundup
from bench.row import Row
from bench.whole.rows import WHOLE

ROUNDUP = Figure(name="Roundup, classic tracker on SQLite, acknowledged", unit="tickets/s", measure=roundup.tickets_a_second)
DJANGO_HELPDESK = Figure(
    name="django-helpdesk on SQLite, acknowledged", unit="tickets/s", measure=django_helpdesk.tickets_a_second, rounds=1
)

ROWS = (
    Row(figure=ROUNDUP),
    Row(figure=DJANGO_HELPDESK),
    Row(figure=WHOLE, against=ROUNDUP, at_least=25),
    Row(figure=WHOLE, against=DJANGO_HELPDESK, at_least=25),
)
