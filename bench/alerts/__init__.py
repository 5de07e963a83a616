"""Alerts accepted by HTTP."""
