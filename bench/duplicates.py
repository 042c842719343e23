"""What one lost create reply costs: the vendor's SDK, both of its clients, and this package, on the same local server.

Run as ``python -m bench.duplicates``. One clip each; the first create meets the fault, all later ones are fine. The
server's journal tells how many tasks were made; "delivered" says whether the caller got the video in the end.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import dashscope
from dashscope.aigc.video_synthesis import AioVideoSynthesis, VideoSynthesis
from PIL import Image
from rich.console import Console
from rich.table import Table

from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.localserver.scenario import Scenario
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.workflow.intake import take_in_manifest
from kf2v_pipeline.workflow.outcome import Silence, Verdict
from kf2v_pipeline.workflow.project import Project

MODEL = "wan2.2-kf2v-flash"
IMPATIENCE_S = 3
FAULTS = {
    "none": (),
    "reply lost": (Fault(on="create", kind="garbage", count=1),),
    "connection cut": (Fault(on="create", kind="cut", count=1),),
    "timeout": (Fault(on="create", kind="slow", count=1, delay_s=4 * IMPATIENCE_S),),
    "502 after the task exists": (Fault(on="create", kind="error_late", count=1, status=502),),
    "502 before": (Fault(on="create", kind="html", count=1, status=502),),
}


def frame(color: str, folder: Path) -> Path:
    path = folder / f"{color}.png"
    Image.new("RGB", (640, 360), color).save(path)
    return path


def data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def by_sdk(server: LocalServer, folder: Path) -> bool:
    dashscope.base_http_api_url = server.base_url
    reply = VideoSynthesis.call(
        api_key="sk-bench",
        model=MODEL,
        prompt="p",
        first_frame_url=data_uri(frame("red", folder)),
        last_frame_url=data_uri(frame("blue", folder)),
        resolution="480P",
        request_timeout=IMPATIENCE_S,
    )
    return bool(reply.output and reply.output.video_url)


def by_aio_sdk(server: LocalServer, folder: Path) -> bool:
    dashscope.base_http_api_url = server.base_url

    async def call() -> bool:
        reply = await AioVideoSynthesis.call(
            api_key="sk-bench",
            model=MODEL,
            prompt="p",
            first_frame_url=data_uri(frame("red", folder)),
            last_frame_url=data_uri(frame("blue", folder)),
            resolution="480P",
            request_timeout=IMPATIENCE_S,
        )
        return bool(reply.output and reply.output.video_url)

    return asyncio.run(call())


def again(call: Callable[[LocalServer, Path], bool]) -> Callable[[LocalServer, Path], bool]:
    """What a script around the SDK does: it calls once more when the first call gave no video."""

    def twice(server: LocalServer, folder: Path) -> bool:
        with contextlib.suppress(Exception):
            if call(server, folder):
                return True
        return call(server, folder)

    return twice


def by_us(server: LocalServer, folder: Path) -> bool:
    frame("red", folder)
    frame("blue", folder)
    manifest = folder / "manifest.csv"
    manifest.write_text(
        "clip_id,first_frame,last_frame,prompt,resolution\na,red.png,blue.png,p,480P\n", encoding="utf-8"
    )
    settings = Settings(
        manifest=str(manifest), storage=str(folder / "out"), home=folder / "home", service=server.base_url
    )
    with Project(settings, local_address=str) as project:
        take_in_manifest(project)
        clips = list(project.wanted())
        report = asyncio.run(project.engine(clips, Silence()).drive(clips))
    return bool(report.of(Verdict.STORED))


CALLERS: dict[str, Callable[[LocalServer, Path], bool]] = {
    "dashscope VideoSynthesis.call": by_sdk,
    "  and called again on failure": again(by_sdk),
    "dashscope AioVideoSynthesis.call": by_aio_sdk,
    "  and called again on failure ": again(by_aio_sdk),
    "kf2v_pipeline": by_us,
}


def measure(caller: Callable[[LocalServer, Path], bool], faults: tuple[Fault, ...]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(stand_in=True, faults=faults)
        with LocalServer(Path(folder) / "server", scenario=scenario) as server:
            try:
                delivered = caller(server, Path(folder))
            except Exception:  # noqa: BLE001  # whatever the SDK raises is its outcome
                delivered = False
            tasks = sum(create["task_id"] is not None for create in server.journal()["creates"])
    return f"{tasks} {'delivered' if delivered else 'NOT delivered'}"


def main() -> None:
    os.environ["NO_PROXY"] = "127.0.0.1"
    table = Table("tasks made, outcome", *FAULTS, title="One clip, the first create meets the fault")
    for name, caller in CALLERS.items():
        table.add_row(name, *(measure(caller, faults) for faults in FAULTS.values()))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
