"""Handing frames over: real files, a real manifest, and a client that only notes what it is given to upload."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any

import fsspec
import pytest
from PIL import Image

from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.errors import FrameError
from kf2v_pipeline.storage.manifest import read_manifest
from kf2v_pipeline.wan.catalog import load_catalog
from kf2v_pipeline.workflow.frames import FrameSender, read_clip_frame
from kf2v_pipeline.workflow.plan import make_plan
from kf2v_pipeline.workflow.seal import SealedAddresses

CATALOG = load_catalog()
TEMPORARY = "oss://dashscope-instant/52af/2025-07-12/b744/first.png"


def picture(shade: int = 0, *, mode: str = "RGB", kind: str = "PNG") -> bytes:
    file = BytesIO()
    ramp = Image.linear_gradient("L").resize((640, 360))
    ramp.point(lambda level: (level + shade) % 256).convert(mode).save(file, kind)
    return file.getvalue()


class Uploads:
    """The client's upload alone."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes, str]] = []

    async def upload(self, name: str, content: bytes, model: str) -> str:
        self.seen.append((name, content, model))
        return f"oss://dashscope-instant/{name}"


class NoMemory:
    """A frame cache that knows nothing."""

    def known_frames(self, tokens: Mapping[str, str]) -> Mapping[str, Frame]:
        return {}

    def remember_frames(self, frames: Mapping[str, tuple[str, Frame]]) -> None:
        pass


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(picture(1))
    (tmp_path / "b.png").write_bytes(picture(2))
    return tmp_path


def write(folder: Path, first: str = "a.png", last: str = "b.png", clip_id: str = "c") -> Path:
    path = folder / "m.csv"
    path.write_text(f'clip_id,first_frame,last_frame\n{clip_id},"{first}","{last}"\n', encoding="utf-8")
    return path


def plan(manifest: Path, **choices: Any) -> Clip:
    """The one clip of the manifest, as the ledger gives it back."""
    made = make_plan(
        read_manifest(str(manifest)),
        service_for=lambda name: CATALOG.service(name or "local"),
        frame_cache=NoMemory(),
        **choices,
    )
    (clip,) = made.clips
    return Clip.from_record(clip.to_record())


def urls(manifest: Path, clip: Clip, mode: Any = "auto", client: Any = None) -> tuple[str, str | None]:
    return asyncio.run(FrameSender(SealedAddresses(str(manifest)), mode).urls(clip, client or Uploads()))


def content_of(url: str | None) -> bytes:
    assert url is not None
    return b64decode(url.partition(",")[2])


def test_files_go_inline_with_the_name_of_their_kind(batch: Path) -> None:
    (batch / "b.png").write_bytes(picture(2, kind="JPEG"))
    manifest = write(batch)
    first, last = urls(manifest, plan(manifest))
    assert (first.partition(",")[0], content_of(first)) == ("data:image/png;base64", picture(1))
    assert last is not None
    assert last.startswith("data:image/jpeg;base64,")


def test_files_are_uploaded_by_choice_under_names_that_tell_nothing_of_this_machine(batch: Path) -> None:
    manifest, client = write(batch), Uploads()
    first, _ = urls(manifest, plan(manifest), "upload", client)
    name = f"{sha256(picture(1)).hexdigest()[:16]}.png"
    assert client.seen[0] == (name, picture(1), "wan2.2-kf2v-flash")
    assert first == f"oss://dashscope-instant/{name}"


def test_nothing_is_uploaded_of_a_clip_whose_other_frame_is_gone(batch: Path) -> None:
    manifest, client = write(batch), Uploads()
    clip = plan(manifest)
    (batch / "b.png").unlink()
    with pytest.raises(FrameError, match="there is no such file"):
        urls(manifest, clip, "upload", client)
    assert not client.seen


def test_a_clip_with_a_template_has_one_frame(batch: Path) -> None:
    manifest = write(batch)
    _, last = urls(manifest, plan(manifest).evolve(last_frame=None, template="hanfu-1"))
    assert last is None


@pytest.mark.parametrize("mode", ["auto", "inline", "upload", "url"])
def test_what_lies_in_the_temporary_storage_goes_as_it_is(batch: Path, mode: str) -> None:
    manifest = write(batch, TEMPORARY, f"{TEMPORARY}?x=1")
    assert urls(manifest, plan(manifest), mode) == (TEMPORARY, f"{TEMPORARY}?x=1")


def test_a_public_address_goes_as_it_is_and_is_not_read(batch: Path) -> None:
    clip = plan(write(batch))
    public = "https://frames.example.com/a.png"
    clip = clip.evolve(first_frame=Frame(**{**vars(clip.first_frame), "location": public}))
    assert urls(batch / "m.csv", clip)[0] == public


def test_a_frame_is_fixed_again_on_its_way(batch: Path) -> None:
    (batch / "a.png").write_bytes(picture(mode="RGBA"))
    manifest = write(batch)
    first, _ = urls(manifest, plan(manifest, fix_frames=True))
    with Image.open(BytesIO(content_of(first))) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")


def test_a_fixed_frame_whose_file_changed_is_not_sent(batch: Path) -> None:
    (batch / "a.png").write_bytes(picture(mode="RGBA"))
    frame = plan(write(batch), fix_frames=True).first_frame
    (batch / "a.png").write_bytes(picture(9, mode="RGBA"))
    with pytest.raises(FrameError, match="the file changed since it was planned; run again"):
        read_clip_frame(frame)


def test_a_frame_is_read_again_to_be_sent(batch: Path) -> None:
    frame = plan(write(batch)).first_frame
    assert read_clip_frame(frame) == (frame, picture(1))


def test_a_frame_that_changed_since_it_was_planned_is_not_sent(batch: Path) -> None:
    frame = plan(write(batch)).first_frame
    (batch / "a.png").write_bytes(picture(99))
    with pytest.raises(FrameError, match="the file changed since it was planned; run again"):
        read_clip_frame(frame)


def test_a_frame_that_is_gone_since_it_was_planned_is_a_frame_error(batch: Path) -> None:
    frame = plan(write(batch)).first_frame
    (batch / "a.png").unlink()
    with pytest.raises(FrameError, match="there is no such file"):
        read_clip_frame(frame)


# Sealed frames: the ledger has only what may be shown of their addresses.


class _Signed(BaseHTTPRequestHandler):
    """Gives ``/a.png`` and ``/b.png``, and only where ``Signature=`` names one of those that are good."""

    good = "s3cret"

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        is_good = query == f"Signature={self.good}"
        content = picture(1 if path == "/a.png" else 2) if is_good else b""
        self.send_response(200 if is_good else 403)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Signed) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_signed_address_is_found_in_the_manifest_again(batch: Path, site: str) -> None:
    manifest = write(batch, f"{site}/a.png?Signature=s3cret", f"{site}/b.png?Signature=s3cret")
    clip = plan(manifest)
    assert "s3cret" not in f"{clip.to_record()}"
    first, last = urls(manifest, clip)
    assert (content_of(first), content_of(last)) == (picture(1), picture(2))


def test_an_address_that_was_signed_anew_meanwhile_is_the_same_frame(
    batch: Path, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = plan(write(batch, f"{site}/a.png?Signature=s3cret"))
    monkeypatch.setattr(_Signed, "good", "n3w")
    first, _ = urls(write(batch, f"{site}/a.png?Signature=n3w"), clip)
    assert content_of(first) == picture(1)


def test_a_manifest_that_changes_during_a_drive_is_read_again(batch: Path, site: str) -> None:
    manifest = write(batch, f"{site}/a.png?Signature=wrong")
    sealed = SealedAddresses(str(manifest))
    frame = Frame(location=f"{site}/a.png", sha256="", width=1, height=1, size_bytes=1, format="PNG", sealed=True)
    assert sealed.address("c", "first_frame", frame) == f"{site}/a.png?Signature=wrong"
    write(batch, f"{site}/a.png?Signature=s3cret")
    assert sealed.address("c", "first_frame", frame) == f"{site}/a.png?Signature=s3cret"


def test_a_signature_that_ran_out_is_one_sentence_without_it(
    batch: Path, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = write(batch, f"{site}/a.png?Signature=s3cret")
    clip = plan(manifest)
    monkeypatch.setattr(_Signed, "good", "n3w")
    with pytest.raises(FrameError, match="answers 403 Forbidden") as refused:
        urls(manifest, clip)
    assert "s3cret" not in str(refused.value)
    assert refused.value.is_away


def test_a_manifest_that_is_half_saved_is_read_again_later(batch: Path, site: str) -> None:
    manifest = write(batch, f"{site}/a.png?Signature=s3cret")
    clip = plan(manifest)
    manifest.write_bytes(b"\x00")
    with pytest.raises(FrameError) as refused:
        urls(manifest, clip)
    assert refused.value.is_away


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder, _: (folder / "m.csv").unlink(), "there is no such file\\); correct the path"),
        (lambda folder, _: write(folder), "does not name it any more for this clip; run again"),
        (lambda folder, site: write(folder, f"{site}/a.png?Signature=s3cret", clip_id="d"), "does not name it any"),
        (lambda folder, site: write(folder, f"{site}/b.png?Signature=s3cret"), "does not name it any more"),
    ],
)
def test_a_manifest_that_names_the_frame_no_more_is_one_sentence(
    batch: Path, site: str, change: Any, sentence: str
) -> None:
    manifest = write(batch, f"{site}/a.png?Signature=s3cret")
    clip = plan(manifest)
    change(batch, site)
    with pytest.raises(FrameError, match=sentence) as refused:
        urls(manifest, clip)
    assert "only the manifest has its whole address" in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_a_query_that_is_part_of_the_name_is_checked_by_the_bytes(batch: Path) -> None:
    store = fsspec.filesystem("memory")
    store.pipe_file("/named?id=1", picture(1))
    store.pipe_file("/named?id=2", picture(2))
    clip = plan(write(batch, "memory://named?id=1"))
    with pytest.raises(FrameError, match="the file changed since it was planned"):
        urls(write(batch, "memory://named?id=2"), clip)


def test_inline_pictures_of_the_manifest_itself_are_not_kept_twice(batch: Path) -> None:
    uri = "data:image/png;base64," + b64encode(picture(1)).decode()
    manifest = write(batch, uri)
    clip = plan(manifest)
    assert clip.first_frame.location == "data:image/png;base64,…"
    assert urls(manifest, clip)[0] == uri
