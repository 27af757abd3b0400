-- The chain. Append only: the triggers below refuse everything else.
CREATE TABLE entry (
    seq          INTEGER PRIMARY KEY,
    leaf         BLOB NOT NULL,
    hash         BLOB NOT NULL,
    idem         TEXT NOT NULL UNIQUE,
    turn         TEXT NOT NULL,
    conversation TEXT NOT NULL,
    action       TEXT NOT NULL,
    actor        TEXT NOT NULL,
    workspace    TEXT NOT NULL,
    mono         INTEGER NOT NULL,
    commitment   TEXT
) STRICT;
CREATE INDEX entry_turn ON entry (turn, seq) WHERE turn <> '';
CREATE INDEX entry_actor ON entry (actor, seq) WHERE commitment IS NOT NULL;
CREATE INDEX entry_said ON entry (conversation, seq) WHERE action IN ('message.received', 'reply.prepared');

CREATE TRIGGER entry_keeps BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'RC011: an entry is never changed'); END;
CREATE TRIGGER entry_stays BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'RC011: an entry is never removed'); END;

-- The end of the chain: one row, locked by each batch. The frontier is that of the Merkle tree, hashes one after the other.
CREATE TABLE head (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    size     INTEGER NOT NULL,
    hash     BLOB NOT NULL,
    mono     INTEGER NOT NULL,
    frontier BLOB NOT NULL
) STRICT;
INSERT INTO head (one, size, hash, mono, frontier) VALUES (1, 0, x'', 0, x'');

-- Roots of complete subtrees of 256^level entries: what tiles and proofs are read from. Level 0 stands in entry.hash.
CREATE TABLE subtree (
    level  INTEGER NOT NULL CHECK (level > 0),
    number INTEGER NOT NULL,
    hash   BLOB NOT NULL,
    PRIMARY KEY (level, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoint (
    size INTEGER PRIMARY KEY,
    root BLOB NOT NULL,
    note BLOB NOT NULL
) STRICT;

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

-- The book. A posting never changes; accounts, holds and counters are projections. Debits are above 0.
CREATE TABLE posting (
    seq      INTEGER NOT NULL,
    n        INTEGER NOT NULL,
    account  TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount   INTEGER NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (seq, n)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER posting_keeps BEFORE UPDATE ON posting
BEGIN SELECT RAISE(ABORT, 'RC011: a posting is never changed'); END;
CREATE TRIGGER posting_stays BEFORE DELETE ON posting
BEGIN SELECT RAISE(ABORT, 'RC011: a posting is never removed'); END;

CREATE TABLE account (
    account    TEXT NOT NULL,
    currency   TEXT NOT NULL,
    workspace  TEXT NOT NULL,
    owner      TEXT NOT NULL,
    balance    INTEGER NOT NULL,
    expires_us INTEGER,
    PRIMARY KEY (account, currency),
    CONSTRAINT rc001 CHECK ((account NOT LIKE 'L:ws:%' OR balance <= 0) AND (account NOT LIKE 'A:ws:%' OR balance >= 0))
) STRICT, WITHOUT ROWID;
CREATE INDEX account_pocket ON account (workspace, owner) WHERE workspace <> '' AND balance <> 0;

CREATE TABLE hold (
    hold      TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    state     TEXT NOT NULL,
    drawn     TEXT NOT NULL,
    expected  INTEGER NOT NULL,
    charged   INTEGER NOT NULL,
    counters  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX hold_open ON hold (workspace) WHERE state = 'open';

CREATE TABLE counter (
    workspace TEXT NOT NULL,
    subject   TEXT NOT NULL,
    period    TEXT NOT NULL,
    amount    INTEGER NOT NULL,
    PRIMARY KEY (workspace, subject, period)
) STRICT, WITHOUT ROWID;
