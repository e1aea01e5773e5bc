"""Meter protocols without I/O: bytes in, events out. Only the standard library, no sockets, no clocks, no asyncio."""
