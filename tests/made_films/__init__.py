"""Films made by script, good ones and ones with just one fault, with seeded variation; real photographs, real files.

The tests and ``python -m bench quality`` judge the quality checks by them.
"""

from .film import MadeFilm, as_file, write_film
from .flawed_film import FAULTS
from .good_film import GOOD, handheld, slow_pan
from .studio import Camera, Studio, photograph

__all__ = [
    "FAULTS",
    "GOOD",
    "Camera",
    "MadeFilm",
    "Studio",
    "as_file",
    "handheld",
    "photograph",
    "slow_pan",
    "write_film",
]
