"""Talks to Wan: the wire, the catalog of what it offers, the client. Nothing of Dagster or storage belongs here."""
