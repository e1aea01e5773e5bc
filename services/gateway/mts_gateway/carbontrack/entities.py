"""What a request names must exist (404) and be of a distributor that the caller sees (403)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mts_gateway.carbontrack import envelope
from mts_gateway.carbontrack.envelope import Refusal
from mts_gateway.carbontrack.principal import Principal
from mts_gateway.carbontrack.reading import Reading


class Entities:
    """Looks up distributors and devices."""

    def __init__(self, own: Reading) -> None:
        self._own = own

    async def distributors(self, caller: Principal, named: UUID | None) -> list[UUID]:
        """The one that is named, or all that the caller sees. Raises `Refusal`."""
        if named is None:
            return list(caller.distributors)
        if named in caller.distributors:
            return [named]
        (row,) = await self._own.fetch("find_distributor", named)
        raise _refusal(str(named), known=row["known"])

    async def devices(self, distributors: Sequence[UUID], named: Sequence[str]) -> list[str]:
        """Those of the distributors, all or the named ones."""
        rows = await self._own.fetch("devices_of", distributors, named or None)
        return [row["device_id"] for row in rows]

    async def check_devices(self, caller: Principal, named: Sequence[str]) -> None:
        """Every one of them exists and is visible. Raises `Refusal` for the first that is not."""
        if not named:
            return
        rows = await self._own.fetch("find_devices", named)
        owners = {row["device_id"]: row["distributor_id"] for row in rows}
        for device_id in named:
            if owners.get(device_id) not in caller.distributors:
                raise _refusal(device_id, known=device_id in owners)


def _refusal(entity: str, *, known: bool) -> Refusal:
    if known:
        text = (
            "The request you are making is valid, but you do not have permission to access the entity requested. "
            "Authenticating will make no difference. Double check the entity ID that you are requesting."
        )
        return Refusal(envelope.NOT_YOURS, text, entity)
    return Refusal(envelope.UNKNOWN_ENTITY, "The requested resource could not be found.", entity)
