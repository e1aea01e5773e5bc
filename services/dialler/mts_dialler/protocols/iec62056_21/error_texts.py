"""What the makers' error codes mean (iec62056-21.md, section 9; elster-a1700.md, section 3)."""

from __future__ import annotations

_ELSTER = {
    "ERROR": "general error",
    "ERROR00": "no valid command",
    "ERROR01": "unknown command",
    "ERROR02": "the maker's password is needed",
    "ERROR03": "locked by hardware",
    "ERROR04": "invalid class",
    "ERROR05": "no additional data",
    "ERROR06": "wrong format",
    "ERROR07": "not supported",
    "ERROR08": "a demand reset is not allowed now",
    "ERROR09": "initialising the load profile is not active",
    "ERROR10": "the ripple receiver is off",
}

_ISKRAEMECO = {
    "ER01": "unknown command",
    "ER02": "invalid command",
    "ER03": "wrong format",
    "ER04": "read only",
    "ER05": "write only",
    "ER06": "neither read nor write",
    "ER07": "access denied",
    "ER08": "not possible with R3",
    "ER09": "not a command",
    "ER10": "not executed",
    "ER11": "wrong format of the code",
    "ER12": "not in the readout",
    "ER13": "no unit",
    "ER14": "wrong previous index",
    "ER15": "no offset",
    "ER16": "wrong offset or count",
    "ER17": "no value",
    "ER18": "index too big",
    "ER19": "wrong format of the offset",
    "ER20": "no response",
    "ER21": "wrong character in R3",
    "ER22": "no previous values",
    "ER23": "no such code",
    "ER24": "wrong sub-tag",
    "ER25": "no such register",
    "ER26": "writing to the memory failed",
    "ER27": "invalid value",
    "ER28": "invalid time",
    "ER29": "the previous value is not valid",
    "ER30": "the previous value is empty",
    "ER36": "maximum demand reset locked out",
    "ER37": "invalid value in the load profile",
    "ER38": "the load profile is empty",
    "ER39": "there is no load profile",
    "ER40": "no such channel",
    "ER41": "the start is after the end",
    "ER43": "wrong format of the time",
    "ER44": "invalid readout",
    "ER47": "not in the automatic display",
    "ER49": "error of the cumulative maximum",
    "ER53": "not possible with R5",
}

_LANDIS_GYR = {"ER0001": "unknown command", "ER0002": "wrong parameters"}

_A1700 = {
    "ERR1": "wrong command",
    "ERR2": "unknown identity",
    "ERR3": "wrong packet number",
    "ERR5": "locked, or the access has expired",
    "ERR6": "communication error",
}

_BY_MAKER: dict[str, dict[str, str]] = {
    "ABB": _ELSTER,
    "ELS": _ELSTER,
    "GEC": _A1700,
    "ISK": _ISKRAEMECO,
    "LGZ": _LANDIS_GYR,
}


def explain(maker: str, text: str) -> str:
    """The error's own text, and its meaning where the maker (FLAG id, any case) gives one."""
    meaning = _BY_MAKER.get(maker.upper(), {}).get(text.strip())
    return f"{text.strip()} ({meaning})" if meaning else text.strip()
