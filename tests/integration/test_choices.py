"""What a person may choose, as the service sees it: real drives against the local server, judged by its journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from integration.service import no_local_server
from PIL import Image

from kf2v_pipeline.domain.policy import Pace
from kf2v_pipeline.errors import SettingsError
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.media.probe import probe
from kf2v_pipeline.settings import Settings
from kf2v_pipeline.workflow.intake import look_at_manifest, take_in_manifest
from kf2v_pipeline.workflow.outcome import DriveReport, Silence
from kf2v_pipeline.workflow.project import Project
from kf2v_pipeline.workflow.tempo import Tempo

QUICK = Tempo(
    pace=Pace(closest=timedelta(seconds=0.05), widest=timedelta(seconds=0.2)),
    claim_every=timedelta(seconds=0.05),
)

OpenProject = Callable[..., Project]
StartServer = Callable[..., LocalServer]
WriteManifest = Callable[..., Path]


@pytest.fixture
def open_project(tmp_path: Path) -> Iterator[OpenProject]:
    """Opens projects on one home and one storage: ``open_project(manifest, KF2V_FRAMES="upload")``."""

    with ExitStack() as opened:

        def open_one(manifest: Path, **variables: str) -> Project:
            places = {"manifest": str(manifest), "storage": str(tmp_path / "out"), "home": tmp_path / "home"}
            chosen = Settings.from_mapping(variables, **places)
            return opened.enter_context(Project(chosen, local_address=no_local_server, tempo=QUICK))

        yield open_one


def drive(project: Project) -> DriveReport:
    take_in_manifest(project)
    clips = list(project.wanted())
    return asyncio.run(project.engine(clips, Silence()).drive(clips))


def verdicts(report: DriveReport) -> list[str]:
    return [outcome.verdict.value for outcome in report.outcomes.values()]


@pytest.mark.parametrize(("mode", "uploads"), [("auto", 0), ("inline", 0), ("upload", 2)])
def test_frames_travel_as_was_chosen(
    mode: str, uploads: int, open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    project = open_project(write_manifest("a"), KF2V_SERVICE=server.base_url, KF2V_FRAMES=mode)
    assert verdicts(drive(project)) == ["stored"]
    assert server.journal()["counts"].get("upload", {}).get("200", 0) == uploads


def test_frames_that_can_not_travel_as_was_chosen_create_nothing(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    project = open_project(write_manifest("a"), KF2V_SERVICE=server.base_url, KF2V_FRAMES="url")
    assert drive(project).outcomes == {}
    assert server.journal()["creates"] == []


def test_a_file_that_the_service_would_refuse_is_fixed_and_makes_a_video(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    server = start_server(stand_in_px=0)
    manifest = write_manifest("a", rows={"a": {"first_frame": "odd.tiff"}})
    Image.linear_gradient("L").resize((900, 600)).convert("CMYK").save(tmp_path / "odd.tiff")

    refused = open_project(manifest, KF2V_SERVICE=server.base_url)
    assert drive(refused).outcomes == {}
    report = drive(open_project(manifest, KF2V_SERVICE=server.base_url, KF2V_FIX_FRAMES="yes"))

    assert verdicts(report) == ["stored"]
    film = probe(tmp_path / "out" / str(report.outcomes["a"].attempt.video_path))
    assert (film.width, film.height) == (768, 512)


def test_a_clip_that_was_planned_with_a_fix_is_driven_without_the_choice_all_the_same(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    server = start_server()
    manifest = write_manifest("a", rows={"a": {"first_frame": "odd.gif"}})
    Image.linear_gradient("L").resize((900, 600)).save(tmp_path / "odd.gif")
    take_in_manifest(open_project(manifest, KF2V_SERVICE=server.base_url, KF2V_FIX_FRAMES="1"))

    project = open_project(manifest, KF2V_SERVICE=server.base_url)
    clips = list(project.wanted())
    report = asyncio.run(project.engine(clips, Silence()).drive(clips))

    assert verdicts(report) == ["stored"]


def test_a_cut_prompt_is_what_the_service_reads(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest
) -> None:
    server = start_server()
    manifest = write_manifest("a", prompt="x" * 900)
    report = drive(open_project(manifest, KF2V_SERVICE=server.base_url, KF2V_LONG_PROMPTS="cut"))
    assert verdicts(report) == ["stored"]
    assert report.outcomes["a"].clip.prompt == "x" * 800


def test_a_video_is_as_long_as_its_row_says_and_is_paid_by_the_second(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    server = start_server()
    manifest = write_manifest("a", "b", model="wan2.7-i2v", resolution="720P", rows={"a": {"duration": 3}})
    report = drive(open_project(manifest, KF2V_SERVICE=server.base_url))

    attempts = {clip_id: outcome.attempt for clip_id, outcome in report.outcomes.items()}
    assert {clip_id: attempt.duration_s for clip_id, attempt in attempts.items()} == {"a": 3.0, "b": 5.0}
    assert {clip_id: attempt.cost for clip_id, attempt in attempts.items()} == {"a": Decimal("1.8"), "b": Decimal(3)}
    assert {entry["options"]["film_s"] for entry in server.journal()["creates"]} == {3, 5}


def test_what_was_uploaded_before_is_used_by_its_address(
    open_project: OpenProject, start_server: StartServer, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    server = start_server()
    manifest = write_manifest("a")

    async def upload() -> str:
        async with open_project(manifest).connect(server.base_url) as client:
            content = (tmp_path / "frames" / "0-first.png").read_bytes()
            return await client.upload("first.png", content, "wan2.2-kf2v-flash")

    address = asyncio.run(upload())
    manifest = write_manifest("a", rows={"a": {"first_frame": address}})
    assert verdicts(drive(open_project(manifest, KF2V_SERVICE=server.base_url))) == ["stored"]


def test_a_catalog_of_ones_own_sets_prices(
    open_project: OpenProject, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    catalog = tmp_path / "prices.toml"
    catalog.write_text('[services.singapore.models."wan2.2-kf2v-flash"]\nprices_per_second = { "480P" = "0.02" }\n')
    project = open_project(write_manifest("a"), KF2V_SERVICE="singapore", KF2V_CATALOG=str(catalog))
    (price,) = look_at_manifest(project).prices.values()
    assert str(price) == "0.10 USD"


def test_a_catalog_that_is_not_there_is_one_sentence(
    open_project: OpenProject, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    project = open_project(write_manifest("a"), KF2V_CATALOG=str(tmp_path / "none.toml"))
    with pytest.raises(SettingsError, match="No such file or directory"):
        look_at_manifest(project)


class _Echo(BaseHTTPRequestHandler):
    """An empty list of tasks; it notes the workspace that asks."""

    asked: list[str | None] = []  # noqa: RUF012  # one test, one handler

    def do_GET(self) -> None:
        self.asked.append(self.headers.get("X-DashScope-WorkSpace"))
        body = b'{"total": 0, "data": []}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_calls_belong_to_the_workspace_that_was_chosen(
    open_project: OpenProject, write_manifest: WriteManifest
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        base_url = f"http://127.0.0.1:{server.server_port}/api/v1"
        project = open_project(write_manifest("a"), KF2V_WORKSPACE="ws-1")

        async def ask() -> None:
            async with project.connect(base_url) as client:
                await client.list()

        asyncio.run(ask())
        server.shutdown()
        thread.join()
    assert _Echo.asked == ["ws-1"]
