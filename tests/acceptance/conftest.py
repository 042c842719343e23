"""What holds for every test of the command line."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from kf2v_pipeline.settings import API_KEY_NAME, PREFIX


@pytest.fixture(scope="module", autouse=True)
def _no_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No setting of whoever runs the tests counts, and nothing is left in the folder where they run them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(PREFIX) or name == API_KEY_NAME]:
            patch.delenv(name)
        patch.chdir(tmp_path_factory.mktemp("here"))
        yield
