"""The daemon on PostgreSQL: replicas on one database, and the cost of an item as the desk grows."""
