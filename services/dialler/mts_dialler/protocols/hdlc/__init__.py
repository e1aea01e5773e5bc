"""HDLC as DLMS/COSEM uses it (IEC 62056-46): frames, addresses, and the client's end of one link."""
