"""Every error that the server gives, with the vendor's own code and words. When to give one is decided elsewhere.

Sources: the vendor's kf2v pages ("Error codes", "Error messages", 2025-11 and later) and live replies that third
parties recorded; where they differ, live replies win (``url error`` ends in a full-width mark, an unknown model is
a 400).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One error of the service.

    Attributes:
        http_status: Status of a reply that carries it. A failed task carries code and message under a 200.
    """

    code: str
    message: str
    http_status: int = 400


class Refused(Exception):
    """A call is answered with an error.

    Attributes:
        refusal: Which one.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.code}: {refusal.message}")
        self.refusal = refusal


NO_KEY = Refusal(http_status=401, code="InvalidApiKey", message="No API-key provided.")
BAD_KEY = Refusal(http_status=401, code="InvalidApiKey", message="Invalid API-key provided.")
NOT_ASYNC = Refusal(
    http_status=403, code="AccessDenied", message="current user api does not support synchronous calls."
)
MODEL_UNKNOWN = Refusal(code="InvalidParameter", message="Model not exist.")
WRONG_URL = Refusal(code="InvalidParameter", message="url error, please check url！")
NO_SUCH_PATH = Refusal(
    http_status=404, code="InvalidURL", message="Required URL is missing or invalid, please check the request URL."
)
BAD_BODY = Refusal(code="InvalidParameter", message="Required body invalid, please check the request body format.")
NOT_JSON = Refusal(code="BadRequest.IllegalInput", message="The input parameter requires json format.")
NO_MODEL = Refusal(code="BadRequest.EmptyModel", message='Required parameter "model" missing from request.')
NO_INPUT = Refusal(code="BadRequest.EmptyInput", message="Required input parameter missing from request.")
TOO_LARGE = Refusal(code="BadRequest.TooLarge", message="Payload Too Large.")
DATA_URI_TOO_LARGE = Refusal(
    code="InvalidParameter", message="Exceeded limit on max bytes per data-uri item : 10485760"
)
RATE_EXCEEDED = Refusal(
    http_status=429,
    code="Throttling.RateQuota",
    message="Requests rate limit exceeded, please try again later.",
)
NOT_PENDING = Refusal(
    code="UnsupportedOperation",
    message="Failed to cancel the task, please confirm if the task is in PENDING status.",
)
SERVER_ERROR = Refusal(
    http_status=500, code="InternalError", message="An internal error has occured, please try again later."
)

UNRESOLVED_UPLOAD = Refusal(
    code="InvalidParameter.DataInspection",
    message="The media format is not supported or incorrect for the data inspection.",
)
UPLOAD_GONE = Refusal(
    code="InvalidParameter.DataInspection",
    message="Unable to download the media resource during the data inspection process.",
)
BAD_URL = Refusal(code="InvalidURL", message="Required URL is missing or invalid, please check the request URL.")
BAD_FORMAT = Refusal(code="InvalidParameter", message="image format error")
BAD_SIZE = Refusal(code="InvalidParameter", message="the size of input image is too small or too large.")
BAD_IMAGE = Refusal(code="InvalidParameter", message="Failed to decode the image during the data inspection")
FIXED_DURATION = Refusal(code="InvalidParameter", message="duration customization is not supported")
NOT_RENDERED = Refusal(http_status=500, code="InternalError.Algo", message="inference internal error.")


def method_unsupported(method: str) -> Refusal:
    """A path that exists was called with another method."""
    return Refusal(code="InvalidParameter", message=f"Request method '{method}' is not supported.")


def field_required(path: str) -> Refusal:
    """A field is missing; ``path`` as in ``input.prompt``."""
    return Refusal(code="InvalidParameter", message=f"Field required: {path}")


def not_one_of(allowed: Sequence[str]) -> Refusal:
    """A value is none of a fixed few."""
    quoted = [f"'{value}'" for value in allowed]
    listed = quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
    return Refusal(code="InvalidParameter", message=f"Input should be {listed}")


def not_a(kind: str) -> Refusal:
    """A value has the wrong JSON type; ``kind`` as in ``string``."""
    return Refusal(code="InvalidParameter", message=f"Input should be a valid {kind}")


def beyond(word: str, limit: int) -> Refusal:
    """A number is out of range; ``word`` is ``greater`` or ``less``."""
    return Refusal(code="InvalidParameter", message=f"Input should be {word} than or equal to {limit}")


def bad_duration(shortest: int, longest: int) -> Refusal:
    """A film's length is out of range."""
    return Refusal(code="InvalidParameter", message=f"Duration should be between {shortest} and {longest}")


def download_failed(url: str) -> Refusal:
    """A frame's address gives no file."""
    return Refusal(code="InvalidParameter", message=f"Failed to download {url}")


def download_timeout(url: str) -> Refusal:
    """A frame's address gives nothing in time."""
    return Refusal(code="InvalidURL.Timeout", message=f"Download {url} timeout, please check network connection.")


def bad_parameter(name: str) -> Refusal:
    """A parameter of a query is missing or can't be read."""
    return Refusal(
        code="InvalidParameter",
        message=f"Required parameter({name}) missing or invalid, please check the request parameters.",
    )
