"""How a ledger is opened, made and refused, where no server is needed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import fields
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from statements import sent_statements

from kf2v_pipeline.domain.attempt import Attempt
from kf2v_pipeline.domain.clip import Frame
from kf2v_pipeline.errors import LedgerError
from kf2v_pipeline.storage import migrations, schema
from kf2v_pipeline.storage.database import which_ledger
from kf2v_pipeline.storage.ledger import Ledger


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Everything that is sent to a database meanwhile."""
    with sent_statements() as sent:
        yield sent


def test_a_new_ledger_makes_its_folders(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "ünder" / "ledger.db"
    with Ledger.open(f"sqlite:///{file}") as ledger:
        assert ledger.attempts() == ()
    assert file.is_file()


def test_a_new_ledger_does_not_go_through_what_older_ones_went_through(tmp_path: Path, statements: list[str]) -> None:
    """The sensor's first tick waits for it."""
    Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}").close()
    kinds = {statement.split()[0] for statement in statements}
    assert {"CREATE", "INSERT"} <= kinds
    assert not kinds & {"ALTER", "DROP", "UPDATE"}


def test_a_ledger_that_is_up_to_date_opens_with_one_query(tmp_path: Path, statements: list[str]) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    Ledger.open(url).close()
    statements.clear()
    Ledger.open(url).close()
    assert [statement for statement in statements if statement != "BEGIN"] == [
        "SELECT kf2v_ledger_version.version_num \nFROM kf2v_ledger_version"
    ]


def test_a_commit_on_sqlite_is_on_disk_before_it_returns_and_readers_wait_for_nobody(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger, ledger._read() as connection:
        settings = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("synchronous", "journal_mode")]
    assert settings == [2, "wal"]


def test_a_transaction_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    def fail_half_way(ledger: Ledger) -> None:
        with ledger._write() as connection:
            connection.execute(sa.insert(schema.frame).values(dict.fromkeys(schema.frame.columns.keys(), 1)))
            raise ZeroDivisionError

    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        with pytest.raises(ZeroDivisionError):
            fail_half_way(ledger)
        with ledger._read() as connection:
            assert connection.execute(sa.select(schema.frame.c.token)).all() == []


def test_the_newest_revision_is_the_one_that_the_package_says_it_is() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.REVISION


def test_an_attempt_has_a_column_for_each_field() -> None:
    assert {column.name for column in schema.attempt.columns} == {field.name for field in fields(Attempt)}


def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    Ledger.open(f"sqlite:///{file}").close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE kf2v_ledger_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(LedgerError, match=r"A newer version .* \(revision 9999, .*: upgrade kf2v-pipeline\.$"):
        Ledger.open(f"sqlite:///{file}")


def test_a_ledger_of_an_older_version_is_brought_up_to_date_with_what_is_in_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO kf2v_frame (location_sha256, token, location, sha256, width, height, size_bytes, format) "
            "VALUES (?, 't', '/a.png', 'aa', 640, 360, 1000, 'PNG')",
            (sha256(b"/a.png").hexdigest(),),
        )
    engine.dispose()

    with Ledger.open(url) as ledger:
        known = ledger.known_frames({"/a.png": "t"})

    assert known == {
        "/a.png": Frame(location="/a.png", sha256="aa", width=640, height=360, size_bytes=1000, format="PNG")
    }


def test_tables_of_others_in_the_same_database_are_left_alone(tmp_path: Path) -> None:
    """Dagster keeps its own Alembic version in a table of the usual name."""
    file = tmp_path / "ledger.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num)")
        connection.execute("INSERT INTO alembic_version VALUES ('dagster')")
    Ledger.open(f"sqlite:///{file}").close()
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("dagster",)]
    connection.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ledger.db", "is no database URL: write sqlite:///"),
        ("", "is no database URL"),
        ("postgresql://user:s3cret@host:port/db", "is no database URL"),
        ("sqlite://", "name a plain file"),
        ("sqlite:///:memory:", "name a plain file"),
        ("sqlite:///file:ledger?mode=memory&uri=true", "name a plain file"),
        (
            "mysql://user:s3cret@host/db",
            "can't live in mysql: use an address that begins with sqlite:/// or postgresql://",
        ),
        ("postgresql://user:s3cret@more@host/db", "write it as %40"),
        (
            "postgresql://user:s3cret@127.0.0.1:1/db",
            "postgresql://127.0.0.1:1/db can't be opened: .*; the server must be",
        ),
        (
            "postgres://user:s3cret@127.0.0.1:1/db?password=s3cret",
            "postgresql://127.0.0.1:1/db can't be opened: .*refused",
        ),
    ],
)
def test_an_address_that_is_no_ledger_is_refused_in_one_sentence_without_secrets(url: str, words: str) -> None:
    with pytest.raises(LedgerError, match=words) as caught:
        Ledger.open(url)
    assert "\n" not in str(caught.value)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_folder_that_can_not_be_made_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LedgerError, match=r"ledger\.db can't be opened: .*; it must be a file in a directory"):
        Ledger.open(f"sqlite:///{tmp_path}/file/ledger.db")


def test_a_folder_in_the_place_of_the_ledger_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="can't be opened: unable to open database file; it must be a file"):
        Ledger.open(f"sqlite:///{tmp_path}")


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    file.write_text("These are my notes, and they are long enough to be looked at." * 50)
    before = file.read_bytes()
    with pytest.raises(LedgerError, match="file is not a database"):
        Ledger.open(f"sqlite:///{file}")
    assert file.read_bytes() == before


def test_a_missing_driver_is_named_with_what_installs_it() -> None:
    code = (
        "import sys; sys.modules['psycopg2'] = None\n"
        "from kf2v_pipeline.storage.ledger import Ledger\n"
        "Ledger.open('postgresql://user:s3cret@host/db')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last_line = ended.stderr.splitlines()[-1]
    assert last_line.endswith("the driver of PostgreSQL is missing; run pip install 'kf2v-pipeline[postgres]'.")
    assert "s3cret" not in last_line


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("postgresql://u:s3cret@db/l", "postgresql://u:0ther@db/l", True),
        ("postgres://u@db/l?password=s3cret", "postgresql://u@db/l", True),
        ("postgresql://u@db/l", "postgresql://u@db2/l", False),
        ("postgresql:///l?host=/cloudsql/staging", "postgresql:///l?host=/cloudsql/prod", False),
        ("postgresql://db/l?options=-csearch_path%3Dblue", "postgresql://db/l", False),
        ("sqlite:////a/ledger.db", "sqlite:////b/ledger.db", False),
    ],
)
def test_ledgers_are_told_apart_by_all_of_their_address_but_the_password(one: str, other: str, are_one: bool) -> None:
    assert (which_ledger(one) == which_ledger(other)) is are_one
    assert "s3cret" not in which_ledger(one)


def test_a_ledger_is_shown_without_its_password(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        assert repr(ledger) == f"Ledger('sqlite:///{tmp_path}/ledger.db')"


def test_a_database_that_goes_wrong_later_is_one_sentence_too(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        with sqlite3.connect(tmp_path / "ledger.db") as connection:
            connection.execute("DROP TABLE kf2v_problem")
        connection.close()
        with pytest.raises(LedgerError, match=r"ledger\.db can't be used: no such table: kf2v_problem\.$"):
            ledger.rejected()
