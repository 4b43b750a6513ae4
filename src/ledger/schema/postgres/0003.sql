-- What was called of late, without a walk through all that is remembered. No column that changes, so that calls which are
-- added to a sum leave it alone.
CREATE INDEX duskgate_usage_calls_by_day ON duskgate_usage_calls (operation, day, verified, consumer);
-- How many sums a report comes to. Taken for independent, the columns seem to make so many that all rows are sorted for it.
CREATE STATISTICS duskgate_usage_calls_apart (ndistinct)
    ON operation, consumer, verified, mode, software, network FROM duskgate_usage_calls;
