"""What Dagster loads: settings from the environment, made into definitions. Nothing else reads the environment here."""

import os
from pathlib import Path

import dagster as dg

from kf2v_pipeline import Settings, build_definitions


@dg.definitions
def defs() -> dg.Definitions:
    """The batch of this project, and whatever ``dg scaffold defs`` has put below ``kf2v_pipeline/defs``."""
    scaffolded = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    return dg.Definitions.merge(build_definitions(Settings.from_mapping(os.environ)), scaffolded)
