"""Hayes modems: commands, result codes and the state of one line (modems.md, sections 3 to 3.3)."""
