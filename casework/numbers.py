"""Ticket numbers for the decisions of one transaction: drawn together, and what is not needed is given back."""

from store import tickets
from store.transaction import Tx


class Numbers:
    """Gives the next number. `expected` is how many tickets the transaction may open; nothing is drawn before the first."""

    def __init__(self, tx: Tx, expected: int) -> None:
        """Bind the transaction."""
        self._tx, self._expected = tx, max(expected, 1)
        self._left = range(0)

    def take(self) -> int:
        """The lowest number that is left."""
        if not self._left:
            self._left = tickets.draw_numbers(self._tx, self._expected)
        number, self._left = self._left[0], self._left[1:]
        return number

    def give_back(self) -> None:
        """Give back what was drawn and not taken; called once, at the end."""
        if self._left:
            tickets.give_back_numbers(self._tx, self._left)
            self._left = range(0)
