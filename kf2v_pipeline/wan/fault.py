"""What the service's error codes mean, and what each calls for. One table, wherever a code comes from; no I/O.

Codes and messages are those of the vendor's page of error messages, what they call for is our reading of it. The same
code comes as the error of a call (with an HTTP status) or as the reason of a FAILED task (without one).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from kf2v_pipeline.domain.attempt import Remedy


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one error means.

    Attributes:
        meaning: One clause for a person, without a full stop.
        remedy: What the attempt that met it calls for.
        fix: What a person can do, without a full stop.
        throttled: Whether the service only asks for fewer requests: the clip is not to blame.
        may_have_acted: Whether a create that got this answer may have made a task all the same.
    """

    meaning: str
    remedy: Remedy
    fix: str
    throttled: bool = False
    may_have_acted: bool = False

    def advise(self, message: str) -> str:
        """The service's own words, and what a person can do, in one sentence."""
        return f"{message.rstrip('.')}; {self.fix}."


_KEY = Verdict(
    meaning="the API key is missing, wrong, or of another region",
    remedy=Remedy.STOP_LANE,
    fix="set DASHSCOPE_API_KEY to a key of this service's own region",
)
_ACCESS = Verdict(
    meaning="the key, its workspace or the account has no access to this model",
    remedy=Remedy.STOP_LANE,
    fix="activate the model for the account, or use a key that may call it",
)
_BILL = Verdict(
    meaning="the account is in arrears, or the service was not purchased",
    remedy=Remedy.STOP_LANE,
    fix="settle the account's bill in the vendor's console",
)
_ALLOCATION = Verdict(
    meaning="the account's allocated or free quota is used up",
    remedy=Remedy.STOP_LANE,
    fix="raise the quota, or let the account go on at its price, in the vendor's console",
)
_MODEL = Verdict(
    meaning="the service does not know this model, or not at this address",
    remedy=Remedy.STOP_LANE,
    fix="choose a model that this service offers, and check KF2V_SERVICE",
)
_THROTTLED = Verdict(
    meaning="too many requests at once",
    remedy=Remedy.RETRY,
    fix="nothing: it is sent again, more slowly",
    throttled=True,
)
_BUSY = replace(_THROTTLED, meaning="the service is at its capacity")
_INTERNAL = Verdict(
    meaning="the service failed inside",
    remedy=Remedy.RETRY,
    fix="nothing: it is tried again; if it persists, give the request id to the vendor's support",
    may_have_acted=True,
)
_UNREACHABLE = Verdict(
    meaning="the service could not download a frame",
    remedy=Remedy.RETRY,
    fix="make the frame's URL reachable from the service's region, or send the frames' bytes",
)
_PARAMETER = Verdict(
    meaning="the service refuses a value of this clip",
    remedy=Remedy.PERSON,
    fix="change what the message names",
)
_FRAME = Verdict(
    meaning="the service can't use a frame",
    remedy=Remedy.PERSON,
    fix="use a JPEG, PNG, BMP or WEBP file within the model's limits",
)
_TOO_LARGE = Verdict(
    meaning="the request is larger than the service takes",
    remedy=Remedy.PERSON,
    fix="make the frames' files smaller, or have them uploaded",
)
_MODERATION = Verdict(
    meaning="the content check refused the prompt, a frame or the video",
    remedy=Remedy.PERSON,
    fix="change the prompt or the frames",
)
_INFRINGEMENT = replace(_MODERATION, meaning="the input is suspected of infringing somebody's rights")
_CANCEL = Verdict(
    meaning="only a task that still waits in the queue can be canceled",
    remedy=Remedy.PERSON,
    fix="let the task end: it is paid for once it succeeds",
)
_ADDRESS = Verdict(
    meaning="the address answers, but not as this service does",
    remedy=Remedy.STOP_LANE,
    fix="check the base URL in KF2V_SERVICE; it mostly ends in /api/v1",
)
_VIDEO_URL = Verdict(
    meaning="the video's URL was refused; it has probably expired",
    remedy=Remedy.RETRY,
    fix="nothing: a new URL is asked for while the task lives",
)
_UPLOAD = Verdict(
    meaning="the temporary storage refused a frame",
    remedy=Remedy.RETRY,
    fix="nothing: it is uploaded again under a new policy",
)

_TABLE: Mapping[str, Verdict] = {
    "InvalidApiKey": _KEY,
    "AccessDenied": _ACCESS,
    "AccessDenied.Unpurchased": _ACCESS,
    "Model.AccessDenied": _ACCESS,
    "Workspace.AccessDenied": _ACCESS,
    "App.AccessDenied": _ACCESS,
    "AllocationQuota.FreeTierOnly": _ALLOCATION,
    "Throttling.AllocationQuota": _ALLOCATION,
    "insufficient_quota": _ALLOCATION,
    "Arrearage": _BILL,
    "CommodityNotPurchased": _BILL,
    "PrepaidBillOverdue": _BILL,
    "PostpaidBillOverdue": _BILL,
    "ModelNotFound": _MODEL,
    "Throttling": _THROTTLED,
    "Throttling.RateQuota": _THROTTLED,
    "Throttling.BurstRate": _THROTTLED,
    "ModelServingError": _BUSY,
    "ModelUnavailable": _BUSY,
    "InvalidParameter": _PARAMETER,
    "InvalidParameter.DataInspection": _UNREACHABLE,
    "BadRequest": _PARAMETER,
    "BadRequest.EmptyInput": _PARAMETER,
    "BadRequest.EmptyModel": _PARAMETER,
    "BadRequest.EmptyParameters": _PARAMETER,
    "BadRequest.IllegalInput": _PARAMETER,
    "BadRequest.TooLarge": _TOO_LARGE,
    "BadRequest.InputDownloadFailed": _UNREACHABLE,
    "InvalidURL": _FRAME,
    "InvalidURL.ConnectionRefused": _UNREACHABLE,
    "InvalidURL.Timeout": _UNREACHABLE,
    "InvalidImage": _FRAME,
    "InvalidImage.FileFormat": _FRAME,
    "InvalidImage.ImageSize": _FRAME,
    "InvalidImageResolution": _FRAME,
    "InvalidImageFormat": _FRAME,
    "InvalidFile": _FRAME,
    "InvalidFile.Size": _FRAME,
    "InvalidFile.Resolution": _FRAME,
    "InvalidFile.Format": _FRAME,
    "InvalidFile.AspectRatio": _FRAME,
    "InvalidFile.Openerror": _FRAME,
    "DataInspectionFailed": _MODERATION,
    "CustomRoleBlocked": _MODERATION,
    "FaqRuleBlocked": _MODERATION,
    "IPInfringementSuspect": _INFRINGEMENT,
    "UnsupportedOperation": _CANCEL,
    "InternalError": _INTERNAL,
    "InternalError.Timeout": _INTERNAL,
    "InternalError.FileUpload": _INTERNAL,
    "InternalError.Upload": _INTERNAL,
    "InternalError.Algo": _INTERNAL,
    "SystemError": _INTERNAL,
    "ModelServiceFailed": _INTERNAL,
    "RequestTimeOut": _INTERNAL,
    "RewriteFailed": _INTERNAL,
    # Codes of this package's own, for refusals that carry none of the service's:
    "HttpStatus404": _ADDRESS,
    "HttpStatus405": _ADDRESS,
    "HttpStatus407": _ADDRESS,
    "HttpStatus413": _TOO_LARGE,
    "HttpStatus414": _TOO_LARGE,
    "HttpStatus431": _TOO_LARGE,
    "VideoUrlRefused": _VIDEO_URL,
    "UploadRefused": _UPLOAD,
}

_MESSAGES: tuple[tuple[tuple[Verdict, ...], re.Pattern[str], Verdict], ...] = (
    ((_THROTTLED,), re.compile(r"allocated quota", re.IGNORECASE), _ALLOCATION),
    ((_PARAMETER,), re.compile(r"model not exist|url error", re.IGNORECASE), _MODEL),
    (
        (_PARAMETER, _FRAME),
        re.compile(r"(fail|unable).*download|download.*(fail|timeout)", re.IGNORECASE),
        _UNREACHABLE,
    ),
    ((_INTERNAL,), re.compile(r"invalid_?parameter", re.IGNORECASE), _PARAMETER),
)
"""Where a code has several meanings and the message tells which: codes' verdict, what the message says, verdict."""


def judge(code: str | None, message: str | None, http_status: int | None = None) -> Verdict:
    """What an error means and what it calls for.

    ``InvalidApiKey``, ``invalid_api_key`` and ``invalid-api-key`` are one code. An unknown ``Family.Member`` means what
    ``Family`` means. Any other unknown code is judged by its status, and keeps the service's own words.

    Args:
        code: The service's code; None where a FAILED task gave none.
        message: The service's words, which tell apart what shares a code.
        http_status: Status of the reply; None where the code came out of a task.
    """
    verdict = _look_up(code or "") or _judge_status(http_status)
    for verdicts, pattern, better in _MESSAGES:
        if verdict in verdicts and pattern.search(message or ""):
            return better
    return verdict


def _plain(code: str) -> str:
    return re.sub(r"[^a-z0-9]", "", code.lower())


_BY_PLAIN_CODE: Mapping[str, Verdict] = {_plain(code): verdict for code, verdict in _TABLE.items()}


def _look_up(code: str) -> Verdict | None:
    while code:
        verdict = _BY_PLAIN_CODE.get(_plain(code))
        if verdict is not None:
            return verdict
        code = code.rpartition(".")[0]
    return None


def _judge_status(http_status: int | None) -> Verdict:
    """The verdict on an unknown code: a task's and the service's own failures may be tried again, refusals may not."""
    if http_status is None or http_status >= 500:
        return _INTERNAL
    if http_status == 429:
        return _THROTTLED
    return _ACCESS if http_status in (401, 402, 403) else _PARAMETER
