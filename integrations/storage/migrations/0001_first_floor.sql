-- The chain. Append only: the triggers below refuse everything else.
CREATE TABLE entry (
    seq          INTEGER PRIMARY KEY,
    leaf         BLOB NOT NULL,
    hash         BLOB NOT NULL,
    idem         TEXT NOT NULL UNIQUE,
    turn         TEXT NOT NULL,
    conversation TEXT NOT NULL,
    action       TEXT NOT NULL,
    commitment   TEXT
) STRICT;
CREATE INDEX entry_turn ON entry (turn, seq) WHERE turn <> '';
CREATE INDEX entry_said ON entry (conversation, seq) WHERE action IN ('message.received', 'reply.prepared');

CREATE TRIGGER entry_keeps BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'RC011: an entry is never changed'); END;
CREATE TRIGGER entry_stays BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'RC011: an entry is never removed'); END;

-- The end of the chain: one row, locked by each batch.
CREATE TABLE head (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL,
    hash BLOB NOT NULL,
    mono INTEGER NOT NULL
) STRICT;
INSERT INTO head (one, size, hash, mono) VALUES (1, 0, x'', 0);

-- Text, beside the chain: a row may go, its commitment in the leaf stays.
CREATE TABLE payload (
    commitment TEXT PRIMARY KEY,
    salt       BLOB NOT NULL,
    body       BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Projections: made anew from the entries by a replay. The last three columns of a turn are work in hand, not record.
CREATE TABLE turn (
    turn          TEXT PRIMARY KEY,
    seq           INTEGER NOT NULL,
    workspace     TEXT NOT NULL,
    actor         TEXT NOT NULL,
    conversation  TEXT NOT NULL,
    platform      TEXT NOT NULL,
    kind          TEXT NOT NULL,
    state         TEXT NOT NULL,
    lease_owner   TEXT,
    not_before_us INTEGER NOT NULL DEFAULT 0,
    attempts      INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX turn_open ON turn (seq) WHERE state = 'open';
CREATE INDEX turn_conversation ON turn (conversation, seq);
CREATE INDEX turn_actor ON turn (actor, seq);

CREATE TABLE conversation (
    conversation TEXT PRIMARY KEY,
    workspace    TEXT NOT NULL,
    platform     TEXT NOT NULL,
    first_seq    INTEGER NOT NULL,
    last_seq     INTEGER NOT NULL,
    turns        INTEGER NOT NULL,
    pinned_model TEXT NOT NULL DEFAULT ''
) STRICT;
