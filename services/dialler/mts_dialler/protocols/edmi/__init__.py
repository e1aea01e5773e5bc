"""The EDMI command-line protocol of Atlas (Mk7, Mk10) and Genius (Mk6) meters. Source: edmi.md."""
