-- state: 0 unused, 1 reserved, 2 used; `consumer` and `moment` say by whom and when. All moments are microseconds.
-- round: grows whenever the token is reserved or its reservation is taken over; and is no longer 0 once somebody has found
-- the token by its key. What nobody has had to do with, and nobody received, is withdrawn by that.
-- ended_at: when the token stopped being good (used, revoked or deleted), which is what pruning goes by.
-- A deleted token stays for its reservation, if it has one, and until it is pruned; its name and its key are free.
CREATE TABLE tokens (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    operation TEXT NOT NULL,
    invite_type TEXT NOT NULL,
    target TEXT NOT NULL,
    issuer TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    privileges TEXT,
    revoked INTEGER NOT NULL,
    custom_metadata TEXT,
    idempotency BLOB,
    state INTEGER NOT NULL DEFAULT 0,
    consumer TEXT,
    moment INTEGER,
    round INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    ended_at INTEGER
) STRICT;
CREATE UNIQUE INDEX tokens_id ON tokens (id);
CREATE UNIQUE INDEX tokens_name ON tokens (issuer, name) WHERE deleted = 0;
CREATE UNIQUE INDEX tokens_idempotency ON tokens (idempotency) WHERE idempotency IS NOT NULL AND deleted = 0;
CREATE INDEX tokens_pending ON tokens (moment) WHERE state = 1;
CREATE INDEX tokens_ended ON tokens (ended_at) WHERE ended_at IS NOT NULL;
