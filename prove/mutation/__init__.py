"""Mutation testing: small changes of a module, each of which some test must notice."""
