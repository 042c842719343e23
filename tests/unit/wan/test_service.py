"""What a service offers: models by name, spelling by region, prices."""

from decimal import Decimal

import pytest

from kf2v_pipeline.domain.price import Money
from kf2v_pipeline.errors import SettingsError
from kf2v_pipeline.wan.catalog import load_catalog

CATALOG = load_catalog()


@pytest.mark.parametrize("service", ["local", "singapore", "beijing"])
def test_the_default_model_is_the_flash_everywhere(service: str) -> None:
    assert CATALOG.service(service).model(None).name == "wan2.2-kf2v-flash"


@pytest.mark.parametrize(
    ("service", "asked", "got"),
    [
        ("beijing", "wan2.1-kf2v-plus", "wanx2.1-kf2v-plus"),
        ("beijing", "wanx2.1-kf2v-plus", "wanx2.1-kf2v-plus"),
        ("singapore", "wanx2.1-kf2v-plus", "wan2.1-kf2v-plus"),
        ("singapore", "wan2.1-kf2v-plus", "wan2.1-kf2v-plus"),
        ("local", "wan2.1-kf2v-plus", "wan2.1-kf2v-plus"),
        ("local", "wanx2.1-kf2v-plus", "wanx2.1-kf2v-plus"),
        ("https://gateway.example.com/api/v1", "wan2.1-kf2v-plus", "wanx2.1-kf2v-plus"),
    ],
)
def test_a_model_of_two_spellings_gets_that_of_the_region(service: str, asked: str, got: str) -> None:
    assert CATALOG.service(service).model(asked).name == got


def test_the_model_of_the_vendors_java_sample_is_answered_with_the_real_one() -> None:
    with pytest.raises(SettingsError, match=r"wan2\.1-kf2v-flash does not exist.*use wan2\.2-kf2v-flash\."):
        CATALOG.service("singapore").model("wan2.1-kf2v-flash")


def test_an_unknown_model_is_answered_with_those_that_there_are_and_the_nearest() -> None:
    with pytest.raises(SettingsError) as caught:
        CATALOG.service("beijing").model("wan2.2-kf2v-flsh")
    assert caught.value.name == "model"
    assert caught.value.what == "wan2.2-kf2v-flsh is not offered by beijing"
    assert caught.value.fix == (
        "use one of wan2.2-kf2v-flash, wanx2.1-kf2v-plus, wan2.7-i2v, wan2.7-i2v-2026-04-25"
        " (nearest: wan2.2-kf2v-flash)"
    )


@pytest.mark.parametrize(
    ("service", "model", "resolution", "amount", "currency"),
    [
        ("beijing", "wan2.2-kf2v-flash", "480P", "0.50", "CNY"),
        ("beijing", "wan2.2-kf2v-flash", "720P", "1.00", "CNY"),
        ("beijing", "wan2.2-kf2v-flash", "1080P", "2.40", "CNY"),
        ("beijing", "wanx2.1-kf2v-plus", "720P", "3.50", "CNY"),
        ("beijing", "wan2.7-i2v", "1080P", "5.00", "CNY"),
        ("singapore", "wan2.1-kf2v-plus", "720P", "0.50", "USD"),
        ("local", "wan2.2-kf2v-flash", "1080P", "0", "CNY"),
        ("http://127.0.0.1:9000/api/v1", None, "720P", "1.00", "CNY"),
    ],
)
def test_a_video_of_five_seconds_has_the_vendors_price(
    service: str, model: str | None, resolution: str, amount: str, currency: str
) -> None:
    expected = Money(amount=Decimal(amount), currency=currency)
    assert CATALOG.service(service).price(model, resolution) == expected


def test_the_price_grows_with_the_seconds() -> None:
    price = CATALOG.service("beijing").price("wan2.7-i2v", "720P", 2.5)
    assert price == Money(amount=Decimal("1.50"), currency="CNY")


@pytest.mark.parametrize(
    ("service", "resolution"),
    [("singapore", "720P"), ("beijing", "360P"), ("ws-1.us-east-1.maas.aliyuncs.com", "720P")],
)
def test_a_price_that_no_table_has_is_none(service: str, resolution: str) -> None:
    assert CATALOG.service(service).price(None, resolution) is None


def test_quotas_are_those_of_the_vendors_table() -> None:
    quotas = {
        name: {m.name: (m.quota.creates_per_second, m.quota.tasks_in_process) for m in service.models.values()}
        for name, service in CATALOG.services.items()
    }
    assert quotas["beijing"]["wan2.2-kf2v-flash"] == (2, 2)
    assert quotas["beijing"]["wan2.7-i2v"] == (5, 5)
    assert quotas["singapore"]["wan2.1-kf2v-plus"] == (1, 2)
    assert quotas["local"]["wan2.2-kf2v-flash"] == (2, 2)


def test_evolve_fills_in_an_address_and_changes_nothing_else() -> None:
    local = CATALOG.service("local")
    started = local.evolve(base_url="http://127.0.0.1:9000/api/v1")
    assert started.base_url == "http://127.0.0.1:9000/api/v1"
    assert started.evolve(base_url=None) == local
