"""Videos from a table of frame pairs and prompts, with Wan, on Dagster."""
