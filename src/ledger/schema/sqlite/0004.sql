-- Up to when calls of an operation are missing, because a process could not bring them here: nobody has watched before.
CREATE TABLE usage_lost (
    operation TEXT PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
