"""What the Elster A1700 adds to IEC 62056-21: security, identities, encodings, load profile (elster-a1700.md)."""
