"""Temporary uploads: what a policy allows, for how long, and how the form is read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.localserver.clock import ScriptedClock
from kf2v_pipeline.localserver.form import FormError, parse_form
from kf2v_pipeline.localserver.store import Store
from kf2v_pipeline.localserver.upload import UploadRefused, Uploads

FLASH = "wan2.2-kf2v-flash"


class Desk:
    """Uploads with a clock in the test's hand."""

    def __init__(self, path: Path) -> None:
        self.clock = ScriptedClock()
        self.store = Store(path / "server.sqlite")
        self.uploads = Uploads(path / "uploads", store=self.store, clock=self.clock, secret=b"secret")

    def form(self, name: str = "a.png", **changes: str) -> dict[str, str]:
        data = self.uploads.policy(model=FLASH, request_id="id", upload_url="http://h/_upload")
        return {
            "OSSAccessKeyId": data["oss_access_key_id"],
            "Signature": data["signature"],
            "policy": data["policy"],
            "key": f"{data['upload_dir']}/{name}",
            "x-oss-object-acl": data["x_oss_object_acl"],
            "x-oss-forbid-overwrite": data["x_oss_forbid_overwrite"],
            **changes,
        }


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.store.close()


def test_a_file_is_found_for_its_model_for_two_days(desk: Desk) -> None:
    """Page of temporary uploads: valid for 48 hours, bound to the model of its policy."""
    form = desk.form()
    desk.uploads.accept(form, b"picture")
    path = desk.uploads.path(form["key"], FLASH)
    assert path is not None
    assert path.read_bytes() == b"picture"
    assert desk.uploads.path(form["key"], "wan2.1-kf2v-plus") is None
    desk.clock.advance(timedelta(hours=48))
    assert desk.uploads.path(form["key"], FLASH) is None
    desk.clock.advance(timedelta(seconds=1))
    desk.uploads.sweep()
    assert not path.exists()


def test_a_policy_ends_after_five_minutes(desk: Desk) -> None:
    form = desk.form()
    desk.clock.advance(timedelta(seconds=299))
    desk.uploads.accept(form, b"x")
    desk.clock.advance(timedelta(seconds=1))
    with pytest.raises(UploadRefused, match="Policy expired") as caught:
        desk.uploads.accept({**form, "key": form["key"] + "2"}, b"x")
    assert caught.value.http_status == 403


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"key": "dashscope-instant/else/a.png"}, "AccessDenied"),
        ({"x-oss-object-acl": "public-read"}, "AccessDenied"),
        ({"Signature": "bad"}, "SignatureDoesNotMatch"),
        ({"policy": "e30="}, "SignatureDoesNotMatch"),
        ({"policy": ""}, "SignatureDoesNotMatch"),
        ({"OSSAccessKeyId": "other"}, "InvalidAccessKeyId"),
    ],
)
def test_a_form_that_does_not_fit_its_policy_is_refused(desk: Desk, changes: dict[str, str], code: str) -> None:
    with pytest.raises(UploadRefused) as caught:
        desk.uploads.accept(desk.form(**changes), b"x")
    assert caught.value.code == code


def test_a_file_is_never_overwritten(desk: Desk) -> None:
    form = desk.form()
    desk.uploads.accept(form, b"one")
    with pytest.raises(UploadRefused) as caught:
        desk.uploads.accept(form, b"two")
    assert caught.value.http_status == 409


def body_of(*parts: tuple[str, bytes]) -> bytes:
    lines = [b'--B\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (n.encode(), c) for n, c in parts]
    return b"".join(lines) + b"--B--\r\n"


@given(st.binary().filter(lambda data: b"--B" not in data))
def test_a_form_gives_back_the_very_bytes_of_its_file(data: bytes) -> None:
    fields, file = parse_form("multipart/form-data; boundary=B", body_of(("key", "ä b".encode()), ("file", data)))
    assert (fields, file) == ({"key": "ä b"}, data)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", body_of(("file", b"x"))),
        ("multipart/form-data; boundary=B", b""),
        ("multipart/form-data; boundary=B", body_of(("key", b"x"))),
        ("multipart/form-data; boundary=B", body_of(("file", b"x"), ("key", b"y"))),
        ("multipart/form-data; boundary=B", b"--B\r\nno end of headers--B--"),
        ("multipart/form-data; boundary=B", b"--B\r\nX: y\r\n\r\nx\r\n--B--"),
    ],
)
def test_what_is_no_form_with_a_file_at_its_end_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(FormError):
        parse_form(content_type, body)


@given(st.text(max_size=40), st.binary(max_size=200))
def test_no_body_breaks_the_reading_of_forms(content_type: str, body: bytes) -> None:
    with pytest.raises(FormError):
        parse_form(content_type, body)
