"""IEC 62056-21 (IEC 1107) mode C and its load-profile and log commands. Source: iec62056-21.md."""
