"""Where everything is kept: tables, transactions, migrations. Functions take a `Tx`; none knows a rule."""
