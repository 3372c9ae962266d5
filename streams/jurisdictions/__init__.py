"""Where a person may be, what time it is there, and what the law says of calling then: lookups over static data."""
