"""What the tests that kill processes stand on."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from life import Life

CODE, THREADS = 3, 16


def test_threads_that_look_at_a_life_at_the_same_time_all_see_its_exit_code() -> None:
    for _ in range(3):
        life, barrier = Life(os._exit, CODE), Barrier(THREADS)

        def look(_number: int, life: Life = life, barrier: Barrier = barrier) -> int | None:
            barrier.wait(60)
            return life.exit_code()

        assert life.ends_within(60)
        with ThreadPoolExecutor(THREADS) as pool:
            assert list(pool.map(look, range(THREADS))) == [CODE] * THREADS
