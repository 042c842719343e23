"""What Dagster loads: settings from the environment, made into definitions. Nothing else reads the environment here."""

import os

from kf2v_pipeline.orchestration.definitions import build_definitions
from kf2v_pipeline.settings import Settings

defs = build_definitions(Settings.from_mapping(os.environ))
