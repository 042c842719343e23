"""What each of the service's codes means: the vendor's page of error messages, row by row."""

import pytest

from kf2v_pipeline.domain.attempt import Remedy
from kf2v_pipeline.wan.fault import judge

RETRY, PERSON, STOP = Remedy.RETRY, Remedy.PERSON, Remedy.STOP_LANE

ROWS = [
    (401, "InvalidApiKey", "No API-key provided.", STOP),
    (401, "InvalidApiKey", "Invalid API-key provided.", STOP),
    (403, "AccessDenied", "current user api does not support synchronous calls.", STOP),
    (403, "AccessDenied.Unpurchased", "Access to model denied.", STOP),
    (403, "Model.AccessDenied", "", STOP),
    (403, "Workspace.AccessDenied", "", STOP),
    (403, "App.AccessDenied", "", STOP),
    (403, "AllocationQuota.FreeTierOnly", "", STOP),
    (400, "Arrearage", "Access denied, please make sure your account is in good standing.", STOP),
    (429, "CommodityNotPurchased", "", STOP),
    (429, "PrepaidBillOverdue", "", STOP),
    (429, "PostpaidBillOverdue", "", STOP),
    (429, "Throttling", "Requests throttling triggered.", RETRY),
    (429, "Throttling.RateQuota", "Requests rate limit exceeded, please try again later.", RETRY),
    (429, "Throttling.BurstRate", "Request rate increased too quickly, please slow down", RETRY),
    (429, "Throttling.AllocationQuota", "Allocated quota exceeded, please increase your quota limit.", STOP),
    (429, "Throttling", "Free allocated quota exceeded.", STOP),
    (404, "ModelNotFound", "Model can not be found.", STOP),
    (400, "InvalidParameter", "Model not exist.", STOP),
    (400, "InvalidParameter", "url error, please check url！ For details, see: https://help.aliyun.com/", STOP),
    (400, "InvalidParameter", "Field required: input.media", PERSON),
    (400, "InvalidParameter", "the size of input image is too small or too large.", PERSON),
    (400, "InvalidParameter", "Failed to decode the image during the data inspection", PERSON),
    (400, "InvalidParameter", "download image failed", RETRY),
    (None, "InvalidParameter", "Failed to download https://e.com/1.png", RETRY),
    (None, "InvalidParameter", "The size is not match xxxxxx", PERSON),
    (400, "InvalidParameter.DataInspection", "Unable to download the media resource", RETRY),
    (400, "BadRequest.EmptyInput", "Required input parameter missing from request.", PERSON),
    (400, "BadRequest.EmptyModel", "", PERSON),
    (400, "BadRequest.EmptyParameters", "", PERSON),
    (400, "BadRequest.IllegalInput", "The input parameter requires json format.", PERSON),
    (400, "BadRequest.TooLarge", "Payload Too Large.", PERSON),
    (400, "BadRequest.InputDownloadFailed", "", RETRY),
    (400, "InvalidURL", "The request URL is invalid, please check the request URL is available", PERSON),
    (400, "InvalidURL", "Download https://e.com/1.png timeout, please check network connection.", RETRY),
    (400, "InvalidURL.ConnectionRefused", "", RETRY),
    (400, "InvalidURL.Timeout", "", RETRY),
    (400, "InvalidImage.FileFormat", "", PERSON),
    (400, "InvalidImage.ImageSize", "", PERSON),
    (400, "InvalidImageResolution", "", PERSON),
    (400, "InvalidImageFormat", "", PERSON),
    (400, "InvalidFile.Size", "", PERSON),
    (400, "InvalidFile.Resolution", "", PERSON),
    (400, "InvalidFile.Format", "", PERSON),
    (400, "InvalidFile.AspectRatio", "", PERSON),
    (400, "InvalidFile.Openerror", "", PERSON),
    (400, "DataInspectionFailed", "Input data may contain inappropriate content.", PERSON),
    (None, "DataInspectionFailed", "Output data may contain inappropriate content.", PERSON),
    (400, "IPInfringementSuspect", "", PERSON),
    (400, "CustomRoleBlocked", "", PERSON),
    (400, "FaqRuleBlocked", "", PERSON),
    (400, "UnsupportedOperation", "Failed to cancel the task", PERSON),
    (500, "InternalError", "", RETRY),
    (500, "SystemError", "", RETRY),
    (500, "ModelServiceFailed", "", RETRY),
    (500, "RequestTimeOut", "", RETRY),
    (500, "RewriteFailed", "", RETRY),
    (None, "InternalError.Timeout", "", RETRY),
    (None, "InternalError.FileUpload", "Failed to upload result.", RETRY),
    (None, "InternalError.Upload", "Failed to upload result.", RETRY),
    (None, "InternalError.Algo", "inference internal error.", RETRY),
    (None, "InternalError.Algo", "InvalidParameter: duration", PERSON),
    (503, "ModelServingError", "Too many requests.", RETRY),
    (503, "ModelUnavailable", "", RETRY),
]


@pytest.mark.parametrize(("http_status", "code", "message", "remedy"), ROWS)
def test_every_documented_code_has_its_remedy(http_status: int | None, code: str, message: str, remedy: Remedy) -> None:
    verdict = judge(code, message, http_status)
    assert verdict.remedy is remedy
    assert verdict.meaning
    assert verdict.fix


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("InvalidApiKey", "invalid_api_key"),
        ("DataInspectionFailed", "data_inspection_failed"),
        ("ModelNotFound", "model_not_found"),
        ("Throttling.AllocationQuota", "insufficient_quota"),
        ("Throttling.RateQuota", "throttling_rate_quota"),
        ("Throttling.RateQuota", "THROTTLING.RATEQUOTA"),
    ],
)
def test_the_two_spellings_of_a_code_mean_the_same(one: str, other: str) -> None:
    assert judge(one, "", 400) == judge(other, "", 400)


def test_a_throttled_request_is_told_from_a_bill_though_both_are_429() -> None:
    assert judge("Throttling.RateQuota", "", 429).throttled
    assert judge("ModelServingError", "", 503).throttled
    assert not judge("PostpaidBillOverdue", "", 429).throttled
    assert not judge("Throttling.AllocationQuota", "", 429).throttled


@pytest.mark.parametrize(
    ("http_status", "remedy", "throttled"),
    [
        (None, RETRY, False),
        (400, PERSON, False),
        (401, STOP, False),
        (402, STOP, False),
        (403, STOP, False),
        (404, PERSON, False),
        (429, RETRY, True),
        (500, RETRY, False),
        (503, RETRY, False),
    ],
)
def test_an_unknown_code_is_judged_by_where_it_came_from(
    http_status: int | None, remedy: Remedy, throttled: bool
) -> None:
    verdict = judge("SomethingNew", "its own words", http_status)
    assert (verdict.remedy, verdict.throttled) == (remedy, throttled)


def test_an_unknown_member_of_a_family_means_what_the_family_means() -> None:
    assert judge("InvalidFile.Colour", "", 400) == judge("InvalidFile.Size", "", 400)
    assert judge("Throttling.New.Deep", "", 500) == judge("Throttling", "", 429)


def test_a_task_that_failed_without_a_code_may_be_tried_again() -> None:
    assert judge(None, None).remedy is RETRY


@pytest.mark.parametrize(
    ("http_status", "code", "may_have_acted"),
    [
        (500, "InternalError", True),
        (500, "InternalError.Algo", True),
        (500, "SystemError", True),
        (500, "RequestTimeOut", True),
        (502, "BadGateway", True),
        (503, "ModelUnavailable", False),
        (500, "ModelServingError", False),
        (503, "Throttling", False),
        (429, "Throttling.RateQuota", False),
        (400, "InvalidParameter", False),
        (400, "SomethingNew", False),
        (500, "InvalidApiKey", False),
    ],
)
def test_an_internal_error_at_create_may_have_made_a_task_and_a_refusal_has_not(
    http_status: int, code: str, may_have_acted: bool
) -> None:
    assert judge(code, "", http_status).may_have_acted is may_have_acted
