"""Dagster only: translates between Dagster's words and the workflow."""
