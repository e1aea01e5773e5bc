"""The statements that read the views which the results service publishes (schema results_v1)."""
