-- state: 0 unused, 1 reserved, 2 used; `consumer` and `moment` say by whom and when. All moments are microseconds.
-- round: grows whenever the token is reserved or its reservation is taken over; and is no longer 0 once somebody has found
-- the token by its key. What nobody has had to do with, and nobody received, is withdrawn by that.
-- ended_at: when the token stopped being good (used, revoked or deleted), which is what pruning goes by.
-- A deleted token stays for its reservation, if it has one, and until it is pruned; its name and its key are free.
CREATE TABLE duskgate_tokens (
    sequence BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    id TEXT NOT NULL,
    operation TEXT NOT NULL,
    invite_type TEXT NOT NULL,
    target TEXT NOT NULL,
    issuer TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    privileges TEXT,
    revoked BOOLEAN NOT NULL,
    custom_metadata TEXT,
    idempotency BYTEA,
    state SMALLINT NOT NULL DEFAULT 0,
    consumer TEXT,
    moment BIGINT,
    round BIGINT NOT NULL DEFAULT 0,
    deleted BOOLEAN NOT NULL DEFAULT FALSE,
    ended_at BIGINT
);
CREATE UNIQUE INDEX duskgate_tokens_id ON duskgate_tokens (id);
CREATE UNIQUE INDEX duskgate_tokens_name ON duskgate_tokens (issuer, name) WHERE NOT deleted;
CREATE UNIQUE INDEX duskgate_tokens_idempotency ON duskgate_tokens (idempotency)
    WHERE idempotency IS NOT NULL AND NOT deleted;
CREATE INDEX duskgate_tokens_pending ON duskgate_tokens (moment) WHERE state = 1;
CREATE INDEX duskgate_tokens_ended ON duskgate_tokens (ended_at) WHERE ended_at IS NOT NULL;
