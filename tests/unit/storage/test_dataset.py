"""The storage as a data set: read by Hugging Face, DuckDB and pandas themselves, and described as Croissant."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from attempts import prepared

from kf2v_pipeline.domain.attempt import Attempt, State
from kf2v_pipeline.domain.clip import Clip, Frame
from kf2v_pipeline.domain.policy import standing
from kf2v_pipeline.storage.dataset import write_card, write_croissant
from kf2v_pipeline.storage.layout import (
    CROISSANT,
    DATASET_CARD,
    METADATA,
    VIDEOS,
    VIDEOS_TABLE,
    cut_path,
    sidecar_path,
    video_path,
)
from kf2v_pipeline.storage.sidecar import write_sidecar
from kf2v_pipeline.storage.store import Store
from kf2v_pipeline.storage.tables import video_rows, write_metadata, write_videos_table

MakeFilm = Callable[..., Path]

NOON = datetime(2026, 9, 1, 12, tzinfo=timezone.utc)


def a_clip(clip_id: str, **options: Any) -> Clip:
    frame = Frame(
        location="https://user:canary@host/a.png?Signature=canary",
        sha256="0" * 64,
        width=640,
        height=360,
        size_bytes=1,
        format="PNG",
    )
    defaults: dict[str, Any] = {"row": 1, "service": "local", "model": "wan", "resolution": "480P"}
    return Clip(clip_id=clip_id, first_frame=frame, last_frame=frame, **{**defaults, **options})


def a_stored_attempt(clip: Clip) -> Attempt:
    return replace(
        prepared(clip, at=NOON),
        state=State.STORED,
        task_id="task-1",
        submitted_at=NOON,
        stored_at=NOON,
        video_path=video_path(clip.clip_id, clip.fingerprint),
        sha256="b" * 64,
        size_bytes=1,
        cost=Decimal("0.25"),
        currency="CNY",
    )


class Folder:
    """A storage folder with stored clips, each with its sidecar, and one that is not stored."""

    def __init__(self, root: Path, film: Path, *clips: Clip) -> None:
        self.root = root
        self.store = Store.open(str(root))
        attempts = {clip.clip_id: a_stored_attempt(clip) for clip in clips}
        for clip in clips:
            self.store.put_file(film, video_path(clip.clip_id, clip.fingerprint))
            sidecar = write_sidecar(clip, attempts[clip.clip_id])
            self.store.write_bytes(sidecar_path(clip.clip_id, clip.fingerprint), sidecar)
        self.rows = video_rows(self.store, [*clips, a_clip("waits")], attempts, standing)
        self.table = write_videos_table(self.store, self.rows)
        write_metadata(self.store, self.rows)
        write_card(self.store)
        write_croissant(self.store, self.table, self.rows, licence="CC-BY-4.0")


@pytest.fixture
def folder(tmp_path: Path, make_film: MakeFilm) -> Folder:
    film = make_film("film.mp4")
    clips = [
        a_clip(name, prompt=f"Prompt of {name}", carried={"take": take}) for take, name in enumerate(["a", "test"])
    ]
    return Folder(tmp_path / "out", film, *clips, a_clip("val", carried={"take": "three"}))


def test_hugging_face_reads_the_folder_without_being_told_what_is_in_it(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets  # noqa: PLC0415  # it takes seconds, and asks the environment which it may not before

    shutil.copytree(folder.root / VIDEOS / "a", folder.root / VIDEOS / "a" / "older")
    videos, cache = str(folder.root / VIDEOS), str(tmp_path / "cache")

    plain = datasets.load_dataset(videos, cache_dir=cache)
    named = datasets.load_dataset("videofolder", data_dir=videos, data_files={"train": "**"}, cache_dir=cache)

    assert list(plain) == list(named) == ["train"]
    for split in (plain["train"], named["train"]):
        loaded = split.cast_column("video", datasets.Video(decode=False))
        found = {line["clip_id"]: line for line in loaded}
        assert set(found) == {"a", "test", "val"}
        assert found["test"]["prompt"] == "Prompt of test"
        assert found["val"]["take"] == "three"
        assert [Path(line["video"]["path"]).is_file() for line in loaded] == [True] * 3


def test_duckdb_and_pandas_read_table_and_metadata_alike(folder: Folder) -> None:
    table, metadata = folder.root / VIDEOS_TABLE, folder.root / METADATA
    rows, videos = duckdb.read_parquet(str(table)), duckdb.read_json(str(metadata))
    joined = rows.set_alias("t").join(videos.set_alias("m"), "t.clip_id = m.clip_id")
    joined = joined.project("t.clip_id, t.prompt, m.file_name, t.cost").fetchall()
    assert sorted(row[0] for row in joined) == ["a", "test", "val"]
    assert sum(row[3] for row in joined) == pytest.approx(0.75)
    assert all((folder.root / VIDEOS / row[2]).is_file() for row in joined)
    stored = pd.read_parquet(table).query("status == 'stored'")
    lines = pd.read_json(metadata, lines=True)
    assert list(stored["sha256"]) == list(lines["sha256"])
    assert list(stored["take"]) == list(lines["take"].astype(str)) == ["0", "1", "three"]


def test_the_metadata_gives_each_column_a_type_before_hugging_face_settles_for_none(tmp_path: Path) -> None:
    store = Store.open(str(tmp_path))
    long = "x" * 10_000
    rows = [
        {**row, "status": "stored", "note": long}
        for row in video_rows(store, [a_clip(f"c{number}") for number in range(600)], {}, standing)
    ]
    rows[599]["error_code"] = "VideoDamaged"
    write_metadata(store, rows)
    lines = [json.loads(line) for line in store.read_bytes(METADATA).splitlines()]
    assert [line["clip_id"] for line in lines[:3]] == ["c0", "c599", "c1"]
    assert len(lines) == 600


def test_the_card_that_a_person_changed_stays_as_it_is(folder: Folder) -> None:
    folder.store.write_bytes(DATASET_CARD, b"Mine")
    write_card(folder.store)
    assert folder.store.read_bytes(DATASET_CARD) == b"Mine"


def described(folder: Folder) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(folder.store.read_bytes(CROISSANT))
    return document


def ids_in(node: object) -> list[str]:
    """Every ``@id`` below a node that has more to it than the id: what is defined there."""
    if isinstance(node, list):
        return [found for part in node for found in ids_in(part)]
    if not isinstance(node, dict):
        return []
    own = [node["@id"]] if "@id" in node and len(node) > 1 else []
    return own + [found for part in node.values() for found in ids_in(part)]


def references_in(node: object) -> list[str]:
    if isinstance(node, list):
        return [found for part in node for found in references_in(part)]
    if not isinstance(node, dict):
        return []
    own = [node["@id"]] if set(node) == {"@id"} else []
    return own + [found for part in node.values() for found in references_in(part)]


def test_the_croissant_has_what_the_specification_asks_for(folder: Folder) -> None:
    document = described(folder)
    assert (document["@type"], document["conformsTo"]) == ("sc:Dataset", "http://mlcommons.org/croissant/1.0")
    assert (document["license"], document["datePublished"]) == ("CC-BY-4.0", "2026-09-01")
    assert [part["@type"] for part in document["distribution"]] == ["cr:FileObject", "cr:FileSet"]
    assert [part["@type"] for part in document["recordSet"]] == ["cr:RecordSet", "cr:RecordSet"]
    for field in (field for records in document["recordSet"] for field in records["field"]):
        assert field["@type"] == "cr:Field"
        assert field["dataType"].startswith("sc:")
        assert set(field["source"]) in ({"fileObject", "extract"}, {"fileSet", "extract"})


def test_every_term_of_the_croissant_is_one_of_its_context_or_of_schema_org(folder: Folder) -> None:
    document = described(folder)
    of_schema_org = {
        "name",
        "description",
        "license",
        "datePublished",
        "distribution",
        "contentUrl",
        "contentSize",
        "encodingFormat",
        "sha256",
    }

    def terms(node: object) -> set[str]:
        if isinstance(node, list):
            return {term for part in node for term in terms(part)}
        return {*node, *(term for part in node.values() for term in terms(part))} if isinstance(node, dict) else set()

    used = {term for name, part in document.items() if name != "@context" for term in {name, *terms(part)}}
    assert {term for term in used if not term.startswith("@")} <= of_schema_org | set(document["@context"])


def test_every_reference_of_the_croissant_leads_somewhere_and_no_id_is_used_twice(folder: Folder) -> None:
    document = {name: part for name, part in described(folder).items() if name != "@context"}
    ids = ids_in(document)
    assert len(ids) == len(set(ids))
    assert set(references_in(document)) <= set(ids)


def test_the_croissant_has_a_field_per_column_and_the_tables_own_digest(folder: Folder) -> None:
    document = described(folder)
    table = (folder.root / document["distribution"][0]["contentUrl"]).read_bytes()
    assert document["distribution"][0]["sha256"] == hashlib.sha256(table).hexdigest()
    kinds = {field["name"]: field["dataType"] for field in document["recordSet"][0]["field"]}
    assert list(kinds) == list(pd.read_parquet(folder.root / VIDEOS_TABLE).columns)
    assert [kinds[name] for name in ("seed", "cost", "stored_at", "take")] == [
        "sc:Integer",
        "sc:Float",
        "sc:DateTime",
        "sc:Text",
    ]


def test_the_films_that_the_croissant_names_are_the_tables(folder: Folder) -> None:
    folder.store.write_bytes(cut_path("a", a_clip("a").fingerprint, "9:16", "crop"), b"no film of the service's")
    includes = described(folder)["distribution"][1]["includes"]
    films = {path.relative_to(folder.root).as_posix() for path in folder.root.glob(includes)}
    assert films == {row["video_path"] for row in folder.rows if row["video_path"]}


def test_nothing_that_describes_the_data_set_holds_a_secret_or_names_this_machine(folder: Folder) -> None:
    for path in (CROISSANT, DATASET_CARD, METADATA):
        text = folder.store.read_bytes(path).decode()
        assert "canary" not in text
        assert str(folder.root) not in text


def test_without_a_licence_the_croissant_is_silent_about_it(folder: Folder) -> None:
    write_croissant(folder.store, folder.table, [], licence=None)
    assert not {"license", "datePublished"} & set(described(folder))
