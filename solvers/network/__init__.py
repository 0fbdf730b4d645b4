"""A whole network: schedule, best single partition, report."""
