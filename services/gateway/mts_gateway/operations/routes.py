"""The operators' API: waiting tests, lines and dead letters, which belong to other services and are asked of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from fastapi import APIRouter, Request

from mts_common.operator_messages import ChangeJobs, ListDeadLetters
from mts_common.vocabulary import about
from mts_gateway import refusals
from mts_gateway.endpoint import ADMIN, AdminCaller, ApiRequest, ApiRoute
from mts_gateway.fields import Fields, known
from mts_gateway.operations import requests, show
from mts_gateway.operations.asking import Letters, Scheduler
from mts_gateway.web import ApiResponse

Given = TypeVar("Given")
Wanted = TypeVar("Wanted")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Operations:
    """What operators may do; `letters` by the service that keeps them."""

    scheduler: Scheduler
    letters: Mapping[str, Letters]

    def router(self) -> APIRouter:
        """What is served."""
        router = APIRouter(prefix="/MTS/admin", route_class=ApiRoute, dependencies=[ADMIN])
        router.get("/jobs")(self.list_jobs)
        router.post("/jobs/hold")(self.hold_jobs)
        router.post("/jobs/release")(self.release_jobs)
        router.get("/lines")(self.list_lines)
        router.delete("/lines/quarantine")(self.lift_quarantine)
        router.get("/dead-letters")(self.list_letters)
        router.get("/dead-letters/{service}/{deadLetterId}")(self.show_letter)
        router.post("/dead-letters/{service}/{deadLetterId}/requeue")(self.requeue_letter)
        return router

    async def list_jobs(self, request: ApiRequest) -> ApiResponse:
        """The tests that wait for a call."""
        asked = _checked(requests.jobs_wanted, request.query)
        return ApiResponse(show.show_jobs(await self.scheduler.list_jobs(asked), asked.offset))

    async def hold_jobs(self, request: ApiRequest, caller: AdminCaller) -> ApiResponse:
        """Keep waiting tests from being called."""
        return await self._change(requests.hold_wanted, request, caller.client_id)

    async def release_jobs(self, request: ApiRequest, caller: AdminCaller) -> ApiResponse:
        """Let waiting tests be called."""
        return await self._change(requests.release_wanted, request, caller.client_id)

    async def list_lines(self) -> ApiResponse:
        """Diallers, running calls and quarantined addresses."""
        return ApiResponse(show.show_lines(await self.scheduler.list_lines()))

    async def lift_quarantine(self, request: ApiRequest, caller: AdminCaller) -> ApiResponse:
        """Call an address again."""
        lift = _checked(requests.lift_wanted, await request.json())
        _note(caller.client_id, f"lifts the quarantine of {lift.address!r}")
        reply = await self.scheduler.lift_quarantine(lift)
        return ApiResponse({"remoteAddress": lift.address, "lifted": reply.lifted})

    async def list_letters(self, request: ApiRequest) -> ApiResponse:
        """What no service could handle, the oldest first."""
        services, asked = _checked(requests.letters_wanted, request.query)
        if len(services) == 1:
            page = await self.letters[services[0]].list(asked)
            found = [(services[0], letter) for letter in page.letters]
            return ApiResponse(show.show_letters(found, page.total, asked.offset))
        upto = asked.model_copy(update={"limit": asked.limit + asked.offset, "offset": 0})
        pages = await asyncio.gather(*(self.letters[service].list(upto) for service in services))
        found = [(service, letter) for service, page in zip(services, pages, strict=True) for letter in page.letters]
        found = sorted(found, key=lambda each: each[1].died_at)[asked.offset : asked.offset + asked.limit]
        return ApiResponse(show.show_letters(found, sum(page.total for page in pages), asked.offset))

    async def show_letter(self, request: Request) -> ApiResponse:
        """A dead letter and what it says."""
        service, letter_id = self._letter_named(request)
        found = await self.letters[service].list(ListDeadLetters(ids=(letter_id,), with_text=True))
        if not found.letters:
            raise _unknown_letter(letter_id)
        return ApiResponse(show.show_letter(service, found.letters[0]))

    async def requeue_letter(self, request: Request, caller: AdminCaller) -> ApiResponse:
        """Put a dead letter back into its queue."""
        service, letter_id = self._letter_named(request)
        letters = self.letters[service]
        _note(caller.client_id, f"puts dead letter {letter_id} of {service} back")
        if letter_id not in await letters.requeue([letter_id]):
            if not (await letters.list(ListDeadLetters(ids=(letter_id,), limit=0))).total:
                raise _unknown_letter(letter_id)
            raise refusals.unavailable(f"dead letter {letter_id} was not taken by its queue and stays where it is")
        return ApiResponse({"service": service, "deadLetterId": letter_id})

    async def _change(
        self, check: Callable[[object, list[str]], ChangeJobs], request: ApiRequest, client_id: int
    ) -> ApiResponse:
        change = _checked(check, await request.json())
        _note(client_id, f"{change.change.value} of {len(change.test_ids)} tests")
        reply = await self.scheduler.change_jobs(change)
        return ApiResponse({"testIds": list(reply.changed)})

    def _letter_named(self, request: Request) -> tuple[str, int]:
        faults: list[str] = []
        given = [(name, request.path_params[name]) for name in ("service", "deadLetterId")]
        fields = Fields(given, known("service", "deadLetterId"), faults)
        service, letter_id = fields.choice("service", tuple(self.letters), ""), fields.identifier("deadLetterId")
        if faults or letter_id is None:
            raise refusals.bad_request(*faults)
        return service, letter_id


def _checked(check: Callable[[Given, list[str]], Wanted], given: Given) -> Wanted:
    faults: list[str] = []
    wanted = check(given, faults)
    if faults:
        raise refusals.bad_request(*faults)
    return wanted


def _unknown_letter(letter_id: int) -> refusals.Refused:
    return refusals.bad_request(f"deadLetterId {letter_id} is not known")


def _note(client_id: int, what: str) -> None:
    _log.info("an operator of client %d %s", client_id, what, extra=about("operator"))
