"""Our client under the local server's faults: each create is told apart as refused or open, and is sent once."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.domain.reading import Created, Reading, TaskStatus
from kf2v_pipeline.errors import Kf2vError, ReplyLost, ServiceError
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.localserver.scenario import Scenario
from kf2v_pipeline.wan.catalog import load_catalog
from kf2v_pipeline.wan.client import WanClient

FRAME = Frame(location="/f.png", sha256="0" * 64, width=320, height=240, size_bytes=1000, format="PNG")
CLIP = Clip(
    clip_id="c",
    row=1,
    service="local",
    model="wan2.2-kf2v-flash",
    resolution="480P",
    first_frame=FRAME,
    last_frame=FRAME,
    prompt="a cat",
)


@pytest.fixture
def talk(serve: Any) -> Callable[..., Any]:
    """Runs a coroutine with a client of a server that has these faults; gives its result and the server's journal."""

    def run(use: Callable[[WanClient], Any], *faults: Fault, key: str | None = None) -> tuple[Any, dict[str, Any]]:
        server = serve(Scenario(stand_in=True, speed=120, faults=faults, keys=("sk-local", "sk-right")))

        async def main() -> Any:
            service = load_catalog().service("local").evolve(base_url=server.base_url)
            async with WanClient(service, key, clock=lambda: datetime.now(timezone.utc)) as client:
                return await use(client)

        return asyncio.run(main()), server.journal()

    return run


Talk = Callable[..., Any]


@pytest.mark.parametrize(
    ("fault", "outcome", "tasks"),
    [
        (Fault(on="create", kind="throttle", count=1), ServiceError, 0),
        (Fault(on="create", kind="error", count=1, status=400, code="DataInspectionFailed"), ServiceError, 0),
        (Fault(on="create", kind="error", count=1, status=503, code="ModelUnavailable"), ServiceError, 0),
        (Fault(on="create", kind="error", count=1, status=500, code="InternalError"), ReplyLost, 0),
        (Fault(on="create", kind="error_late", count=1, status=500, code="InternalError"), ReplyLost, 1),
        (Fault(on="create", kind="html", count=1), ReplyLost, 0),
        (Fault(on="create", kind="cut", count=1), ReplyLost, 1),
        (Fault(on="create", kind="garbage", count=1), ReplyLost, 1),
        (Fault(on="create", kind="truncated", count=1), ReplyLost, 1),
        (Fault(on="create", kind="slow", count=1, delay_s=0.2), Created, 1),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
def test_a_faulty_create_is_told_apart_and_sent_once(
    talk: Talk, frames: dict[str, str], fault: Fault, outcome: type, tasks: int
) -> None:
    async def use(client: WanClient) -> Any:
        try:
            return await client.create(CLIP, **frames)
        except Kf2vError as error:
            return error

    got, journal = talk(use, fault)
    assert type(got) is outcome
    assert len(journal["creates"]) == 1
    assert sum(create["task_id"] is not None for create in journal["creates"]) == tasks


@pytest.mark.parametrize("kind", ["html", "cut", "garbage", "truncated"])
@pytest.mark.parametrize("operation", ["get", "list"])
def test_a_faulty_look_tells_nothing_and_the_next_one_does(
    talk: Talk, frames: dict[str, str], operation: str, kind: str
) -> None:
    async def use(client: WanClient) -> Any:
        created = await client.create(CLIP, **frames)
        look = (lambda: client.get(created.task_id)) if operation == "get" else client.list
        with pytest.raises(ReplyLost, match=f"{operation}: "):
            await look()
        return created, await look()

    (created, seen), _ = talk(use, Fault(on=operation, kind=kind, count=1))
    assert created.task_id == (seen.task_id if operation == "get" else seen.tasks[0].task_id)


async def ended(client: WanClient, frames: dict[str, str]) -> Reading:
    """The last reading of a new task."""
    created = await client.create(CLIP, **frames)
    while not (reading := await client.get(created.task_id)).status.ended:
        pass
    return reading


def test_a_download_goes_on_from_any_byte(talk: Talk, frames: dict[str, str]) -> None:
    async def read(client: WanClient, url: str, start_byte: int) -> tuple[bytes, int, int | None]:
        async with client.download(url, start_byte=start_byte) as download:
            content = b"".join([chunk async for chunk in download])
            return content, download.start_byte, download.total_bytes

    async def use(client: WanClient) -> Any:
        url = (await ended(client, frames)).video_url or ""
        whole, _, size = await read(client, url, 0)
        return whole, size, await read(client, url, 1000)

    (whole, size, rest), _ = talk(use)
    assert whole[4:8] == b"ftyp"
    assert size == len(whole)
    assert rest == (whole[1000:], 1000, len(whole))


def test_a_wrong_key_is_refused_and_not_repeated(talk: Talk, frames: dict[str, str]) -> None:
    async def use(client: WanClient) -> str:
        with pytest.raises(ServiceError) as caught:
            await client.create(CLIP, **frames)
        return f"{caught.value} {caught.value!r} {vars(caught.value)}"

    told, _ = talk(use, key="sk-wrong-canary")
    assert told.startswith("InvalidApiKey: Invalid API-key provided.")
    assert "canary" not in told


def test_a_download_that_is_cut_in_half_goes_on(talk: Talk, frames: dict[str, str]) -> None:
    async def use(client: WanClient) -> tuple[bytes, int, int | None]:
        reading = await ended(client, frames)
        assert reading.status is TaskStatus.SUCCEEDED
        got, breaks, total = b"", 0, None
        while len(got) != total:
            try:
                async with client.download(reading.video_url or "", start_byte=len(got)) as download:
                    total = download.total_bytes
                    async for chunk in download:
                        got += chunk
            except ReplyLost:
                breaks += 1
        return got, breaks, total

    (got, breaks, total), _ = talk(use, Fault(on="download", kind="cut", count=1))
    assert (len(got), breaks) == (total, 1)


def test_an_expired_url_is_told_and_a_new_one_works(talk: Talk, frames: dict[str, str]) -> None:
    async def use(client: WanClient) -> tuple[str, bytes]:
        reading = await ended(client, frames)
        with pytest.raises(ServiceError) as caught:
            await client.download(reading.video_url or "").__aenter__()
        again = await client.get(reading.task_id)
        async with client.download(again.video_url or "") as download:
            return caught.value.code, b"".join([chunk async for chunk in download])

    (code, film), _ = talk(use, Fault(on="download", kind="expired", count=1))
    assert code == "VideoUrlRefused"
    assert film[4:8] == b"ftyp"


def test_a_task_that_fails_gives_the_services_reason(talk: Talk, frames: dict[str, str]) -> None:
    fault = Fault(on="task", kind="fail", code="DataInspectionFailed", message="Output data may be inappropriate.")
    reading, _ = talk(lambda client: ended(client, frames), fault)
    assert (reading.status, reading.code) == (TaskStatus.FAILED, "DataInspectionFailed")
    assert reading.message == "Output data may be inappropriate."
