"""The server over HTTP: what survives its restart, what it serves besides the API, what no request can do to it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kf2v_pipeline.localserver.clock import ScriptedClock
from kf2v_pipeline.localserver.embedded import LocalServer
from kf2v_pipeline.localserver.fault import Fault
from kf2v_pipeline.localserver.place import ServerError
from kf2v_pipeline.localserver.render import output_size
from kf2v_pipeline.localserver.scenario import Duration, Scenario
from kf2v_pipeline.localserver.server import Server

Serve = Callable[..., Any]


def test_tasks_films_and_the_port_survive_a_restart(serve: Serve) -> None:
    clock = ScriptedClock()
    scenario = Scenario(stand_in=True, submit_rps=9, durations=(Duration(median_s=60, match="slow"),))
    before = serve(scenario, clock)
    done, running = before.task("fast"), before.task("slow")
    url = before.get(done)["video_url"]
    film = before.download(url).content
    after = serve(scenario, clock)
    assert after.server.base_url == before.server.base_url
    assert after.get(done)["video_url"] == url
    assert after.download(url).content == film
    assert after.get(running)["task_status"] == "RUNNING"
    clock.advance(timedelta(minutes=1))
    assert after.get(running)["task_status"] == "SUCCEEDED"
    assert [create["status"] for create in after.server.journal()["creates"]] == ["SUCCEEDED", "SUCCEEDED"]


def test_a_film_is_really_rendered_even_if_a_restart_comes_between(serve: Serve) -> None:
    task_id = serve(Scenario()).task(parameters={"resolution": "480P"})
    asker = serve(Scenario())
    asker.server.settle()
    output = asker.get(task_id)
    assert output["task_status"] == "SUCCEEDED"
    with av.open(io.BytesIO(asker.download(output["video_url"]).content)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == output_size(320, 240, "480P")
        assert (stream.average_rate, sum(1 for _ in container.decode(stream))) == (30, 150)


def test_a_stand_in_has_the_longest_side_that_its_scenario_says(serve: Serve) -> None:
    asker = serve(Scenario(stand_in=True, stand_in_px=64))
    film = asker.download(asker.get(asker.task())["video_url"]).content
    with av.open(io.BytesIO(film)) as container:
        stream = container.streams.video[0]
        assert (max(stream.width, stream.height), stream.width > stream.height) == (64, True)
        assert (stream.average_rate, sum(1 for _ in container.decode(stream))) == (30, 150)


def test_films_come_by_range(serve: Serve) -> None:
    asker = serve()
    url = asker.get(asker.task())["video_url"]
    whole = asker.download(url)
    part = asker.download(url, headers={"Range": "bytes=100-199"})
    assert (whole.status_code, part.status_code) == (200, 206)
    assert part.content == whole.content[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
    assert whole.headers["etag"] == part.headers["etag"]


def test_a_film_is_for_nobody_without_its_signature(serve: Serve) -> None:
    asker = serve()
    url = asker.get(asker.task())["video_url"]
    for wrong in (
        url.partition("?")[0],
        url.replace("Signature=", "Signature=A"),
        url.replace("Expires=1", "Expires=2"),
    ):
        reply = asker.download(wrong)
        assert (reply.status_code, "<Code>SignatureDoesNotMatch</Code>" in reply.text) == (403, True)
    assert httpx.head(url, trust_env=False).status_code == 403, "it is signed for GET"
    twice = asker.download(url, headers={"Authorization": "Bearer sk-x"})
    assert (twice.status_code, "<Code>InvalidArgument</Code>" in twice.text) == (400, True)


def test_a_sped_up_clock_never_goes_back(serve: Serve) -> None:
    scenario = Scenario(stand_in=True, speed=3600, durations=(Duration(median_s=3600),))
    asker = serve(scenario)
    task_id = asker.task()
    asker.server.settle()
    ended = asker.get(task_id)["end_time"]
    later = serve(scenario)
    assert later.get(later.task())["submit_time"] > ended


def test_a_call_that_outlasts_the_server_is_cut_like_by_a_crash(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No 500, which would say something about the task, and no traceback in the log."""
    monkeypatch.setattr(Server, "grace_s", 0.1)
    asker = serve(Scenario(stand_in=True, faults=(Fault(on="create", kind="slow", delay_s=60),)))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(asker.create)
        while not asker.server.journal()["creates"]:
            pass
        asker.server.__exit__(None, None, None)
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            waiting.result()
    assert [record for record in caplog.records if record.exc_info] == []


def test_a_directory_has_one_server(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve()
    monkeypatch.setattr(Server, "takeover_s", 0.0)
    with pytest.raises(ServerError), LocalServer(tmp_path / "server"):
        pass


def test_paths_that_do_not_exist_and_wrong_methods_get_errors_in_json(serve: Serve) -> None:
    asker = serve()
    for path in ("/nowhere", "/../../etc/passwd", "/tasks/a/b/c"):
        reply = asker.http.get(path)
        assert (reply.status_code, reply.json()["code"]) == (404, "InvalidURL")
    reply = asker.http.get("/services/aigc/image2video/video-synthesis")
    assert reply.json()["message"] == "Request method 'GET' is not supported."
    assert asker.http.post("/tasks/a").json()["message"] == "Request method 'POST' is not supported."


def test_keys_can_be_pinned(serve: Serve) -> None:
    asker = serve(Scenario(stand_in=True, keys=("sk-good",)))
    assert asker.create().json()["message"] == "Invalid API-key provided."
    good = {"Authorization": "Bearer sk-good"}
    assert asker.http.get("/tasks/a", headers=good).status_code == 200
    assert asker.http.get("/tasks/a", headers={"Authorization": ""}).json()["message"] == "No API-key provided."


def test_more_than_twenty_queries_a_second_are_throttled(serve: Serve) -> None:
    asker = serve(Scenario(), ScriptedClock())
    statuses = [asker.http.get("/tasks/a").status_code for _ in range(19)]
    statuses += [asker.http.get("/tasks").status_code, asker.http.post("/tasks/a/cancel").status_code]
    assert statuses == [200] * 20 + [429]
    assert asker.server.journal()["counts"]["cancel"] == {"429": 1}


def test_the_journal_tells_what_became_of_every_create_even_after_a_day(serve: Serve) -> None:
    clock = ScriptedClock()
    asker = serve(Scenario(stand_in=True), clock)
    asker.create("one")
    asker.create("two", parameters={"seed": -1})
    asker.create("three")
    clock.advance(timedelta(days=3))
    later = serve(Scenario(stand_in=True), clock)
    creates = later.server.journal()["creates"]
    assert [(create["prompt"], create["outcome"], create["status"], create["billed"]) for create in creates] == [
        ("one", "200", "SUCCEEDED", True),
        ("two", "200", "FAILED", False),
        ("three", "429", None, False),
    ]
    assert later.server.journal()["billed"] == {"videos": 1, "seconds": 5}


def test_no_secret_is_in_the_journal(serve: Serve) -> None:
    asker = serve()
    url = asker.get(asker.task())["video_url"]
    asker.download(url)
    told = asker.own("journal").text
    assert "sk-x" not in told
    assert "Signature" not in told


def test_the_server_describes_itself_and_every_path_it_names_is_served(serve: Serve) -> None:
    asker = serve()
    said = asker.own("openapi.json").json()
    assert said["servers"] == [{"url": asker.server.base_url}]
    for path, methods in said["paths"].items():
        for method, operation in methods.items():
            reply = asker.http.request(method.upper(), path.replace("{task_id}", "a"))
            assert str(reply.status_code) in operation["responses"]
            assert reply.json().get("code") != "InvalidURL", path


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
VALUE = JSON | st.sampled_from(["data:,", "oss://x", "http://127.0.0.1:1/a", "file:///etc/passwd", "\ud800"])
NAMES = ("prompt", "negative_prompt", "template", "first_frame_url", "last_frame_url")
MEDIA = JSON | st.lists(st.fixed_dictionaries({"type": VALUE, "url": VALUE}), max_size=3)
BODY = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["wan2.2-kf2v-flash", "wan2.7-i2v"]) | JSON,
        "input": JSON
        | st.fixed_dictionaries(
            {},
            optional={**dict.fromkeys(NAMES, VALUE), "media": MEDIA},
        ),
    },
    optional={
        "parameters": JSON
        | st.dictionaries(st.sampled_from(["resolution", "seed", "duration", "prompt_extend", "watermark"]), VALUE)
    },
)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    scenario = Scenario(stand_in=True, submit_rps=10_000, query_qps=10_000)
    with LocalServer(tmp_path_factory.mktemp("target"), scenario=scenario) as server:
        yield server


@settings(max_examples=150)
@given(body=BODY, family=st.sampled_from(["image2video", "video-generation"]))
def test_no_create_breaks_the_server(target: LocalServer, body: Any, family: str) -> None:
    content = json.dumps(body)
    url = f"{target.base_url}/services/aigc/{family}/video-synthesis"
    headers = {"Authorization": "Bearer sk-x", "X-DashScope-Async": "enable"}
    reply = httpx.post(url, content=content, headers=headers, trust_env=False)
    assert reply.status_code in (200, 400)
    if reply.status_code == 200:
        task_id = reply.json()["output"]["task_id"]
        seen = httpx.get(f"{target.base_url}/tasks/{task_id}", headers=headers, trust_env=False)
        assert seen.json()["output"]["task_id"] == task_id


@settings(max_examples=60)
@given(content=st.binary(max_size=200))
def test_no_bytes_break_the_server(target: LocalServer, content: bytes) -> None:
    url = f"{target.base_url}/services/aigc/image2video/video-synthesis"
    headers = {"Authorization": "Bearer sk-x", "X-DashScope-Async": "enable"}
    assert httpx.post(url, content=content, headers=headers, trust_env=False).status_code == 400
    upload = target.base_url.replace("/api/v1", "/_upload")
    assert httpx.post(upload, content=content, trust_env=False).status_code == 400
