-- Who calls what. Days are counted from 1970-01-01 in UTC, moments are microseconds.
-- Everything that is told apart by text is told apart by the number of that text; `day`: when it was last used.
CREATE TABLE usage_names (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    day INTEGER NOT NULL
) STRICT;
-- The day comes last, so that a report adds up the days of each consumer in the order of the key.
CREATE TABLE usage_calls (
    operation INTEGER NOT NULL,
    consumer INTEGER NOT NULL,
    verified INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    software INTEGER NOT NULL,
    network INTEGER NOT NULL,
    day INTEGER NOT NULL,
    success INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (operation, consumer, verified, mode, software, network, day)
) STRICT, WITHOUT ROWID;
-- The last batch of each process, so that a batch that is sent again is added once.
CREATE TABLE usage_writers (
    writer TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,
    day INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- When calls of an operation were counted, whoever made them.
CREATE TABLE usage_watched (
    operation TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (operation, since)
) STRICT, WITHOUT ROWID;
