"""The documents name modules and tests that exist: what ``docs/service.md`` says is covered is covered."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS, PACKAGE = ROOT / "tests", ROOT / "kf2v_pipeline"
NAMED_TEST = re.compile(r"`((?:\w+/)+test_\w+\.py)::([\w:]+)`")
NAMED_MODULE = re.compile(r"`((?:\w+/)+\w+\.(?:py|toml))`")


@cache
def names_in(path: Path) -> frozenset[str]:
    """Names of the tests of a file, ``Class::test`` where they are in a class."""

    def names(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.ClassDef):
                yield from names(node.body, f"{prefix}{node.name}::")
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
                yield f"{prefix}{node.name}"

    return frozenset(names(ast.parse(path.read_text("utf-8")).body))


def rows() -> list[tuple[str, str, str]]:
    """The rows of the tables: what is documented, where it is handled, which tests hold it."""
    lines = (ROOT / "docs" / "service.md").read_text("utf-8").splitlines()
    cells = [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines if line.startswith("| ")]
    assert all(len(row) == 3 for row in cells), [row for row in cells if len(row) != 3]
    return [(row[0], row[1], row[2]) for row in cells if row[0] != "Documented"]


def test_the_tables_are_read() -> None:
    assert len(rows()) > 100


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:60])
def test_a_row_names_tests_that_exist_or_says_that_it_has_none(row: tuple[str, str, str]) -> None:
    documented, handled, tests = row
    named = NAMED_TEST.findall(tests)
    assert named or (tests == "not covered" and handled.startswith("not covered: ")), documented
    missing = [f"{path}::{name}" for path, name in named if name not in names_in(TESTS / path)]
    assert missing == []
    assert NAMED_TEST.sub("", tests).strip() in ("", "not covered"), "something there is no name of a test"


def test_every_module_that_handles_something_is_there() -> None:
    named = {name for _, handled, _ in rows() for name in NAMED_MODULE.findall(handled)}
    assert sorted(name for name in named if not (PACKAGE / name).exists()) == []


PICTURE = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_picture_that_a_document_shows_is_there(document: Path) -> None:
    shown = PICTURE.findall(document.read_text("utf-8"))
    assert [name for name in shown if not (document.parent / name).is_file()] == []
