"""Settings, read from a mapping: what counts, what is refused, and what is never shown."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kf2v_pipeline.errors import SettingsError
from kf2v_pipeline.settings import NAMES, FrameMode, PromptMode, Settings

texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
paths = st.from_regex(r"/[a-z0-9/._-]{0,30}", fullmatch=True).map(Path)
amounts = st.none() | st.decimals(0, 10**6, allow_nan=False, places=2)


def test_without_any_setting_the_example_is_rendered_on_the_local_server() -> None:
    settings = Settings.from_mapping({})
    assert (settings.manifest, settings.storage, settings.service) == ("data/manifest.csv", "output", "local")
    assert settings.home == Path(".kf2v").absolute()
    assert settings.ledger_url == f"sqlite:///{settings.home / 'ledger.db'}"
    assert (settings.max_spend, settings.api_key) == (None, None)


def test_every_field_but_the_key_has_its_variable() -> None:
    assert set(NAMES.values()) == set(Settings.__dataclass_fields__) - {"api_key"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("KF2V_STORAG", "KF2V_STORAGE"),
        ("KF2V_SERVICES", "KF2V_SERVICE"),
        ("KF2V_MAXSPEND", "KF2V_MAX_SPEND"),
    ],
)
def test_an_unknown_name_is_refused_and_the_nearest_suggested(name: str, meant: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_mapping({name: "x"})
    assert str(caught.value) == f"{name}: there is no such setting; perhaps {meant} is meant."


def test_a_name_that_is_near_to_none_gets_the_whole_list() -> None:
    with pytest.raises(SettingsError, match="KF2V_QQQQQQQQ: there is no such setting; the names are KF2V_MANIFEST, "):
        Settings.from_mapping({"KF2V_QQQQQQQQ": "x"})


def test_names_of_others_are_none_of_our_business() -> None:
    assert Settings.from_mapping({"PATH": "/bin", "KF2": "x", "MY_KF2V_X": "x"}) == Settings.from_mapping({})


def test_lanes_are_separated_by_commas_and_each_counts_once() -> None:
    settings = Settings.from_mapping({"KF2V_LANES": " a/x, http://127.0.0.1:1/api/v1/y,a/x ,"})
    assert settings.lane_names == ("a/x", "http://127.0.0.1:1/api/v1/y")
    assert Settings.from_mapping(settings.to_environment()).lane_names == settings.lane_names
    assert Settings.from_mapping({}).lane_names == ()


@pytest.mark.parametrize("lanes", ["singapore", "a/x,/y", "a/"])
def test_what_is_no_lane_is_refused(lanes: str) -> None:
    with pytest.raises(SettingsError, match="KF2V_LANES: it names something that is no lane; write service/model"):
        Settings.from_mapping({"KF2V_LANES": lanes})


def test_flags_go_over_the_environment_and_no_flag_leaves_it() -> None:
    environment = {"KF2V_SERVICE": "singapore", "KF2V_STORAGE": "s3://bucket/a"}
    settings = Settings.from_mapping(environment, service="beijing", storage=None)
    assert (settings.service, settings.storage) == ("beijing", "s3://bucket/a")


def test_an_empty_variable_is_none() -> None:
    assert Settings.from_mapping(dict.fromkeys(NAMES, "")) == Settings.from_mapping({})


def test_a_home_is_an_absolute_path_wherever_processes_are_started_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert Settings.from_mapping({"KF2V_HOME": "state"}).home == tmp_path / "state"
    assert Settings.from_mapping({"KF2V_HOME": "~/state"}).home == tmp_path / "me" / "state"


@pytest.mark.parametrize("written", ["0", "12.50", " 7 ", "1e3"])
def test_an_amount_of_money_is_exact(written: str) -> None:
    assert Settings.from_mapping({"KF2V_MAX_SPEND": written}).max_spend == Decimal(written.strip())


@pytest.mark.parametrize("written", ["abc", "-1", "12,50", "NaN", "Infinity", "5 CNY"])
@pytest.mark.parametrize("name", ["KF2V_MAX_SPEND", "KF2V_MAX_SPEND_PER_DAY"])
def test_what_is_no_amount_of_money_is_refused(name: str, written: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_mapping({name: written})
    assert str(caught.value) == f"{name}: {written} is no amount of money; write a number such as 12.50."


@pytest.mark.parametrize(
    ("name", "values"),
    [("KF2V_FRAMES", "auto, inline, upload, url"), ("KF2V_LONG_PROMPTS", "refuse, cut")],
)
def test_a_mode_that_there_is_not_is_refused_with_those_that_there_are(name: str, values: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_mapping({name: "sometimes"})
    assert str(caught.value) == f"{name}: sometimes is none of its values; write one of {values}."


@pytest.mark.parametrize(
    ("written", "meant"), [("true", True), ("Yes", True), ("1", True), ("false", False), ("no", False), ("0", False)]
)
def test_yes_and_no_may_be_written_in_several_ways(written: str, meant: bool) -> None:
    assert Settings.from_mapping({"KF2V_FIX_FRAMES": written}).fix_frames is meant


def test_neither_key_nor_password_nor_signature_is_ever_shown() -> None:
    settings = Settings.from_mapping(
        {
            "DASHSCOPE_API_KEY": "sk-secret-1",
            "KF2V_LEDGER": "postgresql://user:secret-2@host/ledger",
            "KF2V_MANIFEST": "https://bucket.example/manifest.csv?Signature=secret-3",
            "KF2V_STORAGE": "s3://key:secret-4@bucket",
        }
    )
    assert settings.api_key == "sk-secret-1"
    assert "secret" not in repr(settings)


@given(
    st.builds(
        Settings,
        manifest=texts,
        storage=texts,
        home=paths,
        ledger=st.just("") | texts,
        service=texts,
        max_spend=amounts,
        max_spend_per_day=amounts,
        frames=st.sampled_from(get_args(FrameMode)),
        fix_frames=st.booleans(),
        quality=st.booleans(),
        long_prompts=st.sampled_from(get_args(PromptMode)),
        catalog=st.none() | paths,
        workspace=st.none() | texts,
    )
)
def test_a_process_that_we_start_gets_the_same_settings(settings: Settings) -> None:
    assert Settings.from_mapping(settings.to_environment()) == settings


def test_the_key_is_not_among_the_variables_for_a_process_that_we_start() -> None:
    assert "sk-secret" not in str(Settings(api_key="sk-secret").to_environment())
