"""The contract meters API: warranty contracts in the shape of an Oracle Fusion resource, as contract-meters.md says."""
