"""PostgreSQL as the engine of the store: any number of replicas, each able to run any role (design 5, ADR-0008)."""
