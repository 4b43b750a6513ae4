-- Who calls what. Days are counted from 1970-01-01 in UTC, moments are microseconds.
-- Everything that is told apart by text is told apart by the number of that text; `day`: when it was last used.
CREATE TABLE duskgate_usage_names (
    id BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name TEXT NOT NULL UNIQUE,
    day BIGINT NOT NULL
);
-- The day comes last, so that a report adds up the days of each consumer in the order of the key.
CREATE TABLE duskgate_usage_calls (
    operation BIGINT NOT NULL,
    consumer BIGINT NOT NULL,
    verified BOOLEAN NOT NULL,
    mode BIGINT NOT NULL,
    software BIGINT NOT NULL,
    network BIGINT NOT NULL,
    day BIGINT NOT NULL,
    success BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    first BIGINT NOT NULL,
    last BIGINT NOT NULL,
    PRIMARY KEY (operation, consumer, verified, mode, software, network, day)
);
-- The last batch of each process, so that a batch that is sent again is added once.
CREATE TABLE duskgate_usage_writers (
    writer TEXT PRIMARY KEY,
    sequence BIGINT NOT NULL,
    day BIGINT NOT NULL
);
-- When calls of an operation were counted, whoever made them.
CREATE TABLE duskgate_usage_watched (
    operation TEXT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (operation, since)
);
