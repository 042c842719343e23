"""What a list of tasks is asked for with, and what its reply is read as."""

from datetime import timedelta

import pytest
from unit.wan.wire_reply import NOW, at, body

from kf2v_pipeline.domain.reading import ListedTask, TaskStatus
from kf2v_pipeline.errors import ReplyLost
from kf2v_pipeline.wan import wire

ROW = {
    "api_key_id": "42677",
    "gmt_create": 1745568428109,
    "start_time": 1745568428138,
    "end_time": 1745568932001,
    "model_name": "wanx2.1-kf2v-plus",
    "region": "cn-beijing",
    "request_id": "r-create",
    "status": "SUCCEEDED",
    "task_id": "t-1",
}


class TestList:
    def test_a_recorded_page_is_read_whole(self) -> None:
        page = wire.read_list(
            body({"total": 11, "data": [ROW], "total_page": 2, "page_no": 1, "page_size": 10, "request_id": "r"})
        )
        assert page.tasks == (
            ListedTask(
                task_id="t-1",
                status=TaskStatus.SUCCEEDED,
                model="wanx2.1-kf2v-plus",
                created_at=at(2025, 4, 25, 8, 7, 8, 109000),
                started_at=at(2025, 4, 25, 8, 7, 8, 138000),
                ended_at=at(2025, 4, 25, 8, 15, 32, 1000),
                request_id="r-create",
            ),
        )
        assert (page.page, page.total, page.total_pages, page.unreadable) == (1, 11, 2, 0)

    def test_a_task_in_the_queue_has_no_times_yet(self) -> None:
        row = {"task_id": "t-1", "status": "PENDING", "gmt_create": 1745568428109}
        (listed,) = wire.read_list(body({"total": 1, "data": [row]})).tasks
        assert listed.started_at is listed.ended_at is None

    @pytest.mark.parametrize(
        "row", [None, 5, {}, {"task_id": "t"}, {"status": "RUNNING"}, {"task_id": 1, "status": "X"}]
    )
    def test_a_row_that_can_not_be_read_is_counted_and_spoils_no_other(self, row: object) -> None:
        page = wire.read_list(body({"data": [row, ROW]}))
        assert [listed.task_id for listed in page.tasks] == ["t-1"]
        assert page.unreadable == 1

    def test_an_empty_list_is_empty_whether_written_as_list_or_null(self) -> None:
        assert wire.read_list(body({"total": 0, "data": []})).tasks == ()
        assert wire.read_list(body({"total": 0, "data": None})).tasks == ()

    @pytest.mark.parametrize(
        "reply",
        [
            b"",
            b"<html>",
            b'{"data": [',
            b"{}",
            b'{"data": null}',
            b'{"total": 3, "data": null}',
            b'{"total": 0, "data": {}}',
            b'{"output": null}',
            b'{"code": "Throttling"}',
        ],
    )
    def test_a_reply_without_a_list_is_never_an_empty_list(self, reply: bytes) -> None:
        with pytest.raises(ReplyLost, match="list: "):
            wire.read_list(reply)

    def test_the_window_is_written_in_the_services_zone_and_rounded_outwards(self) -> None:
        query = wire.list_parameters(
            since=at(2026, 5, 1, 20, 0, 0, 900000),
            until=at(2026, 5, 1, 21, 0, 0, 100000),
            model="m",
            page=2,
            page_size=50,
        )
        assert query == {
            "start_time": "20260502040000",
            "end_time": "20260502050001",
            "model_name": "m",
            "page_no": "2",
            "page_size": "50",
        }

    def test_without_a_window_the_service_chooses_it(self) -> None:
        query = wire.list_parameters(since=None, until=None, model=None, page=1, page_size=100)
        assert query == {"page_no": "1", "page_size": "100"}

    def test_a_window_of_more_than_a_day_loses_its_oldest_part(self) -> None:
        query = wire.list_parameters(since=NOW - timedelta(hours=25), until=NOW, model=None, page=1, page_size=1)
        assert query["start_time"] == "20260430200000"
        assert query["end_time"] == "20260501200000"
