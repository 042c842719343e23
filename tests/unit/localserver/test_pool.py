"""Workers that render: one that dies gets a successor, none outlives the pool."""

from __future__ import annotations

import asyncio
import io
import multiprocessing
from pathlib import Path

from PIL import Image

from kf2v_pipeline.localserver.pool import RenderPool
from kf2v_pipeline.localserver.render import RenderRequest


def request() -> RenderRequest:
    file = io.BytesIO()
    Image.new("RGB", (240, 240), "red").save(file, "PNG")
    return RenderRequest(
        first_frame=file.getvalue(),
        last_frame=None,
        resolution="480P",
        prompt=None,
        negative_prompt=None,
        seed=1,
        watermark=False,
        prompt_extend=False,
        duration_s=2,
    )


def test_a_killed_worker_gets_a_successor_and_all_leave_with_the_pool(tmp_path: Path) -> None:
    async def story() -> None:
        pool = RenderPool()
        await pool.render(request(), tmp_path / "one.mp4")
        (worker,) = multiprocessing.active_children()
        worker.kill()
        worker.join()
        report = await pool.render(request(), tmp_path / "two.mp4")
        assert report.frames == 60
        (successor,) = multiprocessing.active_children()
        pool.close()
        successor.join(timeout=10)
        assert successor.exitcode is not None

    asyncio.run(story())
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
