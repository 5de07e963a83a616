"""The JSON API over casework and the store."""
