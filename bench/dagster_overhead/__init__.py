"""What a clip costs Dagster, in CPU seconds and memory; run as ``python -m bench dagster_overhead``."""
