"""The carbonTRACK API: customers, devices and measurements, as carbontrack.md says."""
