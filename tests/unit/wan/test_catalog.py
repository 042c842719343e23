"""Which service a setting means, and what a user's own catalog file may change."""

from pathlib import Path

import pytest

from kf2v_pipeline.errors import SettingsError
from kf2v_pipeline.wan.catalog import load_catalog

CATALOG = load_catalog()


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("local", "local"),
        ("singapore", "singapore"),
        (" Beijing ", "beijing"),
        ("https://dashscope.aliyuncs.com/api/v1/", "beijing"),
        ("https://DashScope-Intl.aliyuncs.com:443/api/v1", "singapore"),
        ("dashscope.aliyuncs.com/api/v1", "beijing"),
        ("http://127.0.0.1:9000/api/v1/", "http://127.0.0.1:9000/api/v1"),
        ("127.0.0.1:9000/api/v1", "http://127.0.0.1:9000/api/v1"),
        ("localhost", "http://localhost"),
        ("[::1]:9000", "http://[::1]:9000"),
        ("gateway.example.com", "https://gateway.example.com"),
        ("http://gateway.example.com:8080/v1//", "http://gateway.example.com:8080/v1"),
        ("ws-1.cn-beijing.maas.aliyuncs.com", "https://ws-1.cn-beijing.maas.aliyuncs.com/api/v1"),
        ("https://ws-1.cn-beijing.maas.aliyuncs.com/api/v1", "https://ws-1.cn-beijing.maas.aliyuncs.com/api/v1"),
    ],
)
def test_one_service_has_one_name_however_its_address_is_written(setting: str, name: str) -> None:
    service = CATALOG.service(setting)
    assert service.name == name
    assert service.base_url == (name if "://" in name else CATALOG.services[name].base_url)


@pytest.mark.parametrize(
    ("setting", "needs_key"),
    [
        ("local", False),
        ("http://127.0.0.1:9000", False),
        ("http://localhost:9000", False),
        ("http://192.168.1.5:9000", True),
        ("https://gateway.example.com", True),
        ("singapore", True),
    ],
)
def test_only_a_service_on_this_machine_needs_no_key(setting: str, needs_key: bool) -> None:
    assert CATALOG.service(setting).needs_key is needs_key


def test_the_local_service_waits_for_its_address_and_has_every_model() -> None:
    local = CATALOG.service("local")
    assert local.base_url is None
    everywhere = {name for service in CATALOG.services.values() for name in service.models}
    assert set(local.models) == everywhere


def test_a_workspace_has_the_models_of_its_region() -> None:
    assert CATALOG.service("w.ap-southeast-1.maas.aliyuncs.com").models == CATALOG.service("singapore").models
    assert CATALOG.service("w.cn-beijing.maas.aliyuncs.com").models == CATALOG.service("beijing").models
    assert CATALOG.service("w.cn-hongkong.maas.aliyuncs.com").region == "cn-hongkong"


@pytest.mark.parametrize(("setting", "hint"), [("bejing", "(nearest: beijing)"), ("lokal", "(nearest: local)")])
def test_a_misspelled_service_is_answered_with_the_nearest(setting: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        CATALOG.service(setting)
    assert caught.value.name == "KF2V_SERVICE"
    assert caught.value.fix == f"use beijing, local, singapore, or a base URL {hint}"


@pytest.mark.parametrize(
    "setting",
    [
        "",
        "ftp://example.com/api",
        "http://",
        "http://[::1",
        "http://h:99999/",
        "https://a b.com/",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_base_url_is_refused(setting: str) -> None:
    with pytest.raises(SettingsError, match="KF2V_SERVICE"):
        CATALOG.service(setting)


@pytest.mark.parametrize(
    "setting",
    ["https://me:hunter2@h.example.com/", "https://h.example.com/?k=hunter2", "https://h.example.com/#hunter2"],
)
def test_a_secret_in_the_address_is_refused_and_not_repeated(setting: str) -> None:
    with pytest.raises(SettingsError) as caught:
        CATALOG.service(setting)
    assert "hunter2" not in str(caught.value)


def test_every_model_says_where_its_figures_come_from() -> None:
    for service in CATALOG.services.values():
        for model in service.models.values():
            assert len(model.source) > 20
            assert model.default_resolution in model.resolutions
            assert model.default_duration_s in model.durations_s


def test_a_users_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(
        """
        [services.singapore.models."wan2.2-kf2v-flash"]
        tasks_in_process = 10
        prices_per_second = { "720P" = "0.05" }
        """
    )
    ours, theirs = CATALOG.service("singapore"), load_catalog(file).service("singapore")
    assert str(theirs.price(None, "720P")) == "0.25 USD"
    assert theirs.model(None).quota.tasks_in_process == 10
    assert theirs.model(None).quota.creates_per_second == ours.model(None).quota.creates_per_second
    assert theirs.model("wan2.1-kf2v-plus") == ours.model("wan2.1-kf2v-plus")
    assert load_catalog(file).service("beijing") == CATALOG.service("beijing")


def test_a_users_own_service_begins_as_a_copy_of_beijing(tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(
        """
        [services.studio]
        base_url = "https://Wan.example.com/api/v1/"
        currency = "EUR"
        """
    )
    catalog = load_catalog(file)
    assert catalog.service("studio").base_url == "https://wan.example.com/api/v1"
    assert str(catalog.service("studio").price(None, "480P")) == "0.50 EUR"
    assert catalog.service("https://wan.example.com/api/v1").name == "studio"
    assert catalog.service("studio").region is None


def test_a_users_own_service_may_be_named_by_its_address(tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text('[services."https://wan.example.com"]\nneeds_key = false\n')
    service = load_catalog(file).service("wan.example.com")
    assert (service.base_url, service.needs_key) == ("https://wan.example.com", False)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("services = 5", "services is 5; write a table"),
        ("[services]\nbeijing = 5", "beijing is 5; write a table"),
        ("[services.beijing]\ncurrencey = 'EUR'", "currencey is unknown; write currency"),
        ("[services.studio]", "base_url is missing; add it"),
        ("[services.beijing]\nneeds_key = 'no'", "needs_key is 'no'; write true or false"),
        ("[services.beijing]\ndefault_model = 'wan9'", "default_model is wan9; write one of wan2.2-kf2v-flash"),
        ("[services.beijing]\nqueries_per_second = 0", "queries_per_second is 0; write a number above 0"),
        ("[services.beijing.models.wan9]\n", "no such model is described; add a table"),
        ("[models.'wan2.2-kf2v-flash']\nprotocol = 'grpc'", "protocol is grpc; write one of kf2v, media"),
        ("[models.'wan2.2-kf2v-flash']\nresolutions = [720]", "resolutions is 720; write a text"),
        ("[services.beijing.models.'wan2.2-kf2v-flash']\nprices_per_second = {'720P' = 'free'}", "write an amount"),
        ("[services.beijing.models.'wan2.2-kf2v-flash']\nprices_per_second = {'720P' = '-1'}", "write an amount"),
        ("[services.beijing.models.'wan2.2-kf2v-flash']\nprices_per_second = {'720P' = 'NaN'}", "write an amount"),
        ("[services.beijing]\nbase_url = 'ftp://x'", "that is no base URL"),
        ("[services", "it is not TOML"),
    ],
)
def test_what_a_users_file_can_not_say_is_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=complaint.replace("(", r"\(")) as caught:
        load_catalog(file)
    assert str(file) in str(caught.value)


def test_a_missing_users_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"it can't be read \(No such file or directory\)"):
        load_catalog(tmp_path / "none.toml")


def test_a_users_file_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="it is not TOML"):
        load_catalog(file)
