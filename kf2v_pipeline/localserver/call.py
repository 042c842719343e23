"""One call, from its arrival to its reply: who asks, which fault meets it, what is noted of it.

What each operation does belongs to the routes.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from . import body, wire
from .fault import BEFORE, Fault
from .refusal import BAD_KEY, NO_KEY, RATE_EXCEEDED, SERVER_ERROR, TOO_LARGE, Refusal, Refused
from .service import Service
from .task import Task

log = logging.getLogger(__name__)

BODY_MOST = 32 * 1024 * 1024
"""Bytes of a create: two frames as ``data:`` URIs and what is around them."""


class Answered(Exception):
    """The call is answered already: a fault kept it from being carried out."""

    def __init__(self, reply: Response) -> None:
        super().__init__("answered by a fault")
        self.reply = reply


@dataclass(kw_only=True)
class Call:
    """One call.

    Attributes:
        operation: One of ``fault.OPERATIONS``.
        arrived: In seconds since the epoch, real time.
        task_id: Which task it asks for.
        task: Which task a create made.
        model: Which model a create is for, as it was sent.
        prompt: With which prompt, as it was sent.
        fault: What meets it; drawn as soon as it is known what it is about.
        code: The error that it was answered with.
        api_key_id: Stands for its key.
    """

    service: Service
    request: Request
    operation: str
    request_id: str = field(default_factory=body.new_request_id)
    arrived: float = field(default_factory=time.time)
    task_id: str | None = None
    task: Task | None = None
    model: str | None = None
    prompt: str | None = None
    fault: Fault | None = None
    code: str | None = None
    api_key_id: str = ""

    def authorize(self) -> None:
        """Check the key.

        Raises:
            Refused: There is none, or it is not accepted.
        """
        scheme, _, key = self.request.headers.get("authorization", "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise Refused(NO_KEY)
        accepted = self.service.scenario.keys
        if key not in accepted if accepted else not key.startswith("sk-"):
            raise Refused(BAD_KEY)
        self.api_key_id = str(int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) % 100_000)

    def meet_fault(self) -> None:
        """Draw the fault of this call, now that it is known what it is about.

        Raises:
            Answered: The fault keeps it from being carried out.
        """
        task = self.service.backend.find(self.task_id) if self.task_id else None
        prompt, model = (task.prompt, task.model) if task else (self.prompt, self.model)
        self.fault = self.service.faults.draw(self.operation, prompt=prompt, model=model)
        if self.fault and self.fault.kind in BEFORE:
            raise Answered(self._answer_instead(self.fault))

    async def read_body(self, most_bytes: int = BODY_MOST) -> bytes:
        """The body.

        Raises:
            Refused: It is too large.
        """
        data = bytearray()
        async for chunk in self.request.stream():
            data += chunk
            if len(data) > most_bytes:
                raise Refused(TOO_LARGE)
        return bytes(data)

    def answer(self, content: dict[str, Any], status: int = 200) -> Response:
        """A JSON reply."""
        charset = self.operation in ("get", "list", "cancel")
        return wire.json_reply(
            content, status=status, request_id=self.request_id, arrived=self.arrived, charset=charset
        )

    def refuse(self, refusal: Refusal) -> Response:
        """The reply that carries an error."""
        self.code = refusal.code
        if self.operation in ("upload", "download"):
            return wire.xml_error(refusal.http_status, refusal.code, refusal.message, self.request_id)
        return self.answer(body.refused(refusal, self.request_id), refusal.http_status)

    def _answer_instead(self, fault: Fault) -> Response:
        if fault.kind == "html":
            return wire.html_page(fault.status or 502)
        if fault.kind == "throttle":
            return self.refuse(RATE_EXCEEDED)
        if fault.kind == "expired":
            return self.refuse(Refusal(http_status=403, code="AccessDenied", message="Request has expired."))
        return self.refuse(_error_of(fault))

    def spoil(self, reply: Response) -> Response:
        """The reply as the fault leaves it, after the call has been carried out."""
        kind = self.fault.kind if self.fault and self.operation != "download" else None
        if self.fault and kind == "error_late":
            return self.refuse(_error_of(self.fault))
        if kind == "garbage":
            return Response(
                b"\x00 upstream sent nonsense", status_code=reply.status_code, media_type="application/json"
            )
        if kind == "truncated":
            half = bytes(reply.body)[: len(reply.body) // 2]
            return Response(half, status_code=reply.status_code, media_type="application/json")
        return reply

    async def hold(self) -> None:
        """Delay the reply, or end the connection instead, as the fault wants it."""
        kind = self.fault.kind if self.fault and self.operation != "download" else None
        if self.fault and kind == "slow":
            await asyncio.sleep(self.fault.delay_s)
        elif kind == "cut":
            await wire.cut(self.request)

    def note(self, reply: Response) -> None:
        """Write the call into the journal."""
        fault = self.fault.kind if self.fault else None
        outcome = "cut" if fault == "cut" and self.operation != "download" else str(reply.status_code)
        at, task_id = self.service.clock.now(), self.task.task_id if self.task else self.task_id
        journal = self.service.journal
        journal.add(operation=self.operation, at=at, outcome=outcome, task_id=task_id, code=self.code, fault=fault)
        if self.operation == "create":
            journal.add_create(
                at=at,
                outcome=outcome,
                request_id=self.request_id,
                model=self.model,
                prompt=self.prompt,
                task=self.task,
                code=self.code,
                fault=fault,
            )


def _error_of(fault: Fault) -> Refusal:
    return Refusal(
        http_status=fault.status or 500,
        code=fault.code or SERVER_ERROR.code,
        message=fault.message or SERVER_ERROR.message,
    )


Handler = Callable[[Call], Awaitable[Response]]


async def serve(service: Service, request: Request, operation: str, handler: Handler) -> Response:
    """Answer one call, whatever happens, and note it."""
    call = Call(service=service, request=request, operation=operation)
    service.calls_open += 1
    try:
        reply = call.spoil(await _answer(call, handler))
        call.note(reply)
        await call.hold()
    finally:
        service.calls_open -= 1
        service.asked_at = time.monotonic()
    return reply


async def _answer(call: Call, handler: Handler) -> Response:
    try:
        return await handler(call)
    except Refused as refused:
        return call.refuse(refused.refusal)
    except Answered as answered:
        return answered.reply
    except ClientDisconnect:
        return Response(status_code=499)  # nobody reads it; the journal does
    except Exception:  # whatever broke, the caller is answered as the service would, and the log tells of it
        log.exception("The call %s could not be answered.", call.operation)
        return call.refuse(SERVER_ERROR)
