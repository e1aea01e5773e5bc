"""The registry: distributors, users, customers, devices, assets, meters and warranty contracts."""
