"""What operators see and change over HTTP: tests that wait, lines, dead letters."""
