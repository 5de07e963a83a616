"""Migrations of the schema: linear, each named expand or contract (design 5). Run by `store.migrate`, never by hand."""
