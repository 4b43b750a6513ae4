-- What was called of late, without a walk through all that is remembered. No column that changes, so that calls which are
-- added to a sum leave it alone.
CREATE INDEX usage_calls_by_day ON usage_calls (operation, day, verified, consumer);
