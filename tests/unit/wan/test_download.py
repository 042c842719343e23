"""Downloads: ranges, sizes, refused URLs, broken bodies; always without the key."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from kf2v_pipeline.errors import NotSent, ReplyLost, ServiceError
from kf2v_pipeline.wan.client import WanClient

URL = "https://b.oss-cn-beijing.aliyuncs.com/1d/v%20x.mp4?Expires=1&OSSAccessKeyId=a&Signature=ca%2Bna%2Fry%3D+x"
FILM = bytes(range(256)) * 4
Ask = Callable[..., Any]


class Storage:
    """A storage that does ranges, and what was asked of it."""

    def __init__(self, *, ranges: bool = True, headers: dict[str, str] | None = None) -> None:
        self.seen: list[httpx.Request] = []
        self._ranges = ranges
        self._headers = headers or {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        start = int(request.headers.get("range", "bytes=0-")[6:-1])
        if "range" not in request.headers or not self._ranges:
            return httpx.Response(200, content=FILM, headers=self._headers)
        if start >= len(FILM):
            return httpx.Response(416, headers={"content-range": f"bytes */{len(FILM)}"})
        extent = f"bytes {start}-{len(FILM) - 1}/{len(FILM)}"
        return httpx.Response(206, content=FILM[start:], headers={"content-range": extent, **self._headers})


@pytest.fixture
def download(ask: Ask) -> Callable[..., tuple[int, int | None, bytes]]:
    def run(handler: Any, *, url: str = URL, start_byte: int = 0) -> tuple[int, int | None, bytes]:
        async def use(client: WanClient) -> tuple[int, int | None, bytes]:
            async with client.download(url, start_byte=start_byte) as found:
                content = b"".join([chunk async for chunk in found])
                return found.start_byte, found.total_bytes, content

        result: tuple[int, int | None, bytes] = ask(handler, use)
        return result

    return run


Download = Callable[..., tuple[int, int | None, bytes]]


def test_a_whole_video_comes_with_its_size_and_goes_without_the_key(download: Download) -> None:
    storage = Storage()
    assert download(storage) == (0, len(FILM), FILM)
    (request,) = storage.seen
    assert request.method == "GET"
    assert "authorization" not in request.headers
    assert "range" not in request.headers
    assert request.headers["accept-encoding"] == "identity"


def test_the_signature_reaches_the_storage_as_it_was_given(download: Download) -> None:
    storage = Storage()
    download(storage)
    assert storage.seen[0].url.raw_path.decode() == URL.partition(".com")[2]


def test_a_broken_off_download_goes_on_where_it_ended(download: Download) -> None:
    assert download(Storage(), start_byte=1000) == (1000, len(FILM), FILM[1000:])


def test_a_server_without_ranges_sends_it_all_and_that_is_told(download: Download) -> None:
    assert download(Storage(ranges=False), start_byte=1000) == (0, len(FILM), FILM)


def test_a_video_that_is_here_already_is_not_sent_again(download: Download) -> None:
    storage = Storage()
    assert download(storage, start_byte=len(FILM)) == (len(FILM), len(FILM), b"")
    assert len(storage.seen) == 1


def test_more_bytes_than_the_video_has_are_not_its_beginning(download: Download) -> None:
    storage = Storage()
    assert download(storage, start_byte=len(FILM) + 1) == (0, len(FILM), FILM)
    assert len(storage.seen) == 2


def test_a_size_that_the_server_does_not_say_is_none(download: Download) -> None:
    async def chunks() -> Any:
        yield FILM

    assert download(lambda _: httpx.Response(200, content=chunks())) == (0, None, FILM)


@pytest.mark.parametrize("extent", ["", "bytes 5-1023/1024", "bytes */1024", "lines 7-9/10"])
def test_a_part_that_does_not_say_which_is_not_used(download: Download, extent: str) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(206, content=FILM[7:], headers={"content-range": extent})

    with pytest.raises(ReplyLost, match="HTTP 206 without the video"):
        download(handler, start_byte=7)


def test_fewer_bytes_than_promised_are_an_error(download: Download) -> None:
    with pytest.raises(ReplyLost, match="download: 1024 of 2000 bytes came"):
        download(Storage(headers={"content-length": "2000"}))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_refused_url_is_told_from_a_video_that_can_not_be_read_now(download: Download, status: int) -> None:
    with pytest.raises(ServiceError) as caught:
        download(lambda _: httpx.Response(status, text="<Error>Request has expired canary</Error>"))
    assert str(caught.value) == f"VideoUrlRefused: HTTP {status}; it may have expired"
    assert caught.value.http_status == status


@pytest.mark.parametrize("status", [204, 304, 429, 500, 503])
def test_any_other_status_is_no_video(download: Download, status: int) -> None:
    with pytest.raises(ReplyLost, match=f"download: HTTP {status} without the video"):
        download(lambda _: httpx.Response(status))


@pytest.mark.parametrize(
    "url", ["", "v.mp4", "file:///etc/passwd", "ftp://h/v", "https://h\x00canary/", "https://h:canary/"]
)
def test_what_is_no_http_url_is_refused_without_repeating_it(download: Download, url: str) -> None:
    with pytest.raises(ServiceError, match="VideoUrlRefused") as caught:
        download(Storage(), url=url)
    assert "canary" not in str(caught.value)


def test_a_redirect_of_the_storage_is_followed_without_the_key(download: Download) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.url.host == "cdn.example.com":
            return httpx.Response(200, content=FILM)
        return httpx.Response(302, headers={"location": "https://cdn.example.com/v.mp4?sig=canary"})

    assert download(handler)[2] == FILM
    assert seen[1].url.query == b"sig=canary"
    assert "authorization" not in seen[1].headers


def test_a_redirect_to_where_nobody_listens_is_a_lost_reply_and_no_request_that_was_never_sent(
    download: Download,
) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.host == "cdn.example.com":
            raise httpx.ConnectError("connection refused", request=request)
        return httpx.Response(302, headers={"location": "https://cdn.example.com/v.mp4?sig=canary"})

    with pytest.raises(ReplyLost, match=r"download: it leads elsewhere, and no connection could be made$"):
        download(handler)


@pytest.mark.parametrize(
    ("error", "raised"), [(httpx.ConnectError, NotSent), (httpx.ReadTimeout, ReplyLost), (httpx.ReadError, ReplyLost)]
)
def test_an_error_on_the_way_names_no_url(
    download: Download, error: type[httpx.RequestError], raised: type[Exception]
) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error(f"at {URL}", request=request)

    with pytest.raises(raised) as caught:
        download(handler)
    assert "Signature" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_body_that_breaks_names_no_url(download: Download) -> None:
    async def chunks() -> Any:
        yield FILM[:100]
        raise httpx.ReadError(f"at {URL}")

    with pytest.raises(ReplyLost) as caught:
        download(lambda _: httpx.Response(200, content=chunks(), headers={"content-length": "1024"}))
    assert str(caught.value) == "download: the connection broke"
    assert caught.value.__context__ is None
