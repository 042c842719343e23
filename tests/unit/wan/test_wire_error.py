"""What the service's errors are read as, and what is none of its errors."""

import pytest
from unit.wan.wire_reply import body

from kf2v_pipeline.wan import wire


class TestError:
    def test_the_services_error_keeps_its_words(self) -> None:
        reply = body({"code": "InvalidApiKey", "message": "No API-key provided.", "request_id": "r-1"})
        error = wire.read_error(401, reply, "application/json;charset=UTF-8")
        assert error is not None
        assert (error.code, error.message) == ("InvalidApiKey", "No API-key provided.")
        assert (error.http_status, error.request_id) == (401, "r-1")

    def test_the_openai_shape_of_the_vendors_gateways_is_an_error_too(self) -> None:
        reply = body({"error": {"code": "invalid_api_key", "message": "Incorrect key", "type": "x"}})
        error = wire.read_error(401, reply, "application/json")
        assert error is not None
        assert (error.code, error.message) == ("invalid_api_key", "Incorrect key")

    def test_a_code_alone_is_enough(self) -> None:
        error = wire.read_error(400, b'{"code": "InvalidURL", "message": null}', "")
        assert error is not None
        assert (error.code, error.message, error.request_id) == ("InvalidURL", "", None)

    @pytest.mark.parametrize(
        ("reply", "content_type"),
        [
            (b"<html>502 Bad Gateway</html>", "text/html"),
            (b'{"code": "Throttling"}', "text/html"),
            (b"<html>", "application/json"),
            (b'{"code": "Thrott', "application/json"),
            (b"", ""),
            (b"[]", "application/json"),
            (b'{"code": 500, "message": "x"}', "application/json"),
            (b'{"code": "", "message": "x"}', "application/json"),
            (b'{"message": "x"}', "application/json"),
            (b'{"detail": "Not Found"}', "application/json"),
            (b'{"timestamp": 1, "status": 404, "error": "Not Found", "path": "/"}', "application/json"),
            (b'{"error": {"message": "x"}}', "application/json"),
        ],
    )
    def test_what_does_not_have_the_services_shape_is_not_its_error(self, reply: bytes, content_type: str) -> None:
        assert wire.read_error(502, reply, content_type) is None

    def test_urls_in_the_services_words_lose_what_signs_them(self) -> None:
        message = (
            "Failed to download https://me:canary@b.oss.com/a.png?Signature=canary&x=1 and oss://b/k?canary, "
            "(http://c.com/?canary) data:image/png;base64,canary end"
        )
        error = wire.read_error(400, body({"code": "InvalidParameter", "message": message}), "application/json")
        assert error is not None
        assert error.message == "Failed to download https://b.oss.com/a.png and oss://b/k (http://c.com/ data:… end"

    @pytest.mark.parametrize("words", ["x", "http", "data:", "http://", "a?"])
    def test_endless_words_are_cut_and_take_no_time(self, words: str) -> None:
        error = wire.read_error(400, body({"code": "E", "message": words * 500_000}), "application/json")
        assert error is not None
        assert len(error.message) <= 2001
