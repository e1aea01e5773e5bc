"""DLMS/COSEM above the link (IEC 62056-53 and -62): associations, services and the values they carry."""
