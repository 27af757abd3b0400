-- The chain. Append only: the triggers below refuse everything else, also for whoever owns the table.
CREATE TABLE entry (
    seq          bigint PRIMARY KEY,
    leaf         bytea NOT NULL,
    hash         bytea NOT NULL,
    idem         text COLLATE "C" NOT NULL UNIQUE,
    turn         text COLLATE "C" NOT NULL,
    conversation text COLLATE "C" NOT NULL,
    action       text COLLATE "C" NOT NULL,
    actor        text COLLATE "C" NOT NULL,
    workspace    text COLLATE "C" NOT NULL,
    mono         bigint NOT NULL,
    commitment   text COLLATE "C"
);
CREATE INDEX entry_turn ON entry (turn, seq) WHERE turn <> '';
CREATE INDEX entry_actor ON entry (actor, seq) WHERE commitment IS NOT NULL;
CREATE INDEX entry_said ON entry (conversation, seq) WHERE action IN ('message.received', 'reply.prepared');

CREATE FUNCTION is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'RC011: % is append only: % is refused', TG_TABLE_NAME, TG_OP;
END
$$;
CREATE TRIGGER entry_keeps BEFORE UPDATE OR DELETE ON entry FOR EACH ROW EXECUTE FUNCTION is_kept();
CREATE TRIGGER entry_stays BEFORE TRUNCATE ON entry FOR EACH STATEMENT EXECUTE FUNCTION is_kept();
-- ALWAYS: also in a session that takes itself for a replica.
ALTER TABLE entry ENABLE ALWAYS TRIGGER entry_keeps;
ALTER TABLE entry ENABLE ALWAYS TRIGGER entry_stays;
REVOKE UPDATE, DELETE, TRUNCATE ON entry FROM PUBLIC, CURRENT_USER;

-- The end of the chain: one row, locked by each batch. The frontier is that of the Merkle tree, hashes one after the other.
CREATE TABLE head (
    one      integer PRIMARY KEY CHECK (one = 1),
    size     bigint NOT NULL,
    hash     bytea NOT NULL,
    mono     bigint NOT NULL,
    frontier bytea NOT NULL
);
INSERT INTO head (one, size, hash, mono, frontier) VALUES (1, 0, '', 0, '');

-- Roots of complete subtrees of 256^level entries: what tiles and proofs are read from. Level 0 stands in entry.hash.
CREATE TABLE subtree (
    level  bigint NOT NULL CHECK (level > 0),
    number bigint NOT NULL,
    hash   bytea NOT NULL,
    PRIMARY KEY (level, number)
);

CREATE TABLE checkpoint (
    size bigint PRIMARY KEY,
    root bytea NOT NULL,
    note bytea NOT NULL
);

-- Text, beside the chain: a row may go, its commitment in the leaf stays.
CREATE TABLE payload (
    commitment text COLLATE "C" PRIMARY KEY,
    salt       bytea NOT NULL,
    body       bytea NOT NULL
);
-- Statistics hold samples of what is in a column, and would keep a text that was erased.
ALTER TABLE payload ALTER COLUMN body SET STATISTICS 0, ALTER COLUMN salt SET STATISTICS 0;

-- Projections: made anew from the entries by a replay. The last three columns of a turn are work in hand, not record.
CREATE TABLE turn (
    turn          text COLLATE "C" PRIMARY KEY,
    seq           bigint NOT NULL,
    workspace     text COLLATE "C" NOT NULL,
    actor         text COLLATE "C" NOT NULL,
    conversation  text COLLATE "C" NOT NULL,
    platform      text COLLATE "C" NOT NULL,
    kind          text COLLATE "C" NOT NULL,
    state         text COLLATE "C" NOT NULL,
    lease_owner   text COLLATE "C",
    not_before_us bigint NOT NULL DEFAULT 0,
    attempts      bigint NOT NULL DEFAULT 0
);
CREATE INDEX turn_open ON turn (seq) WHERE state = 'open';
CREATE INDEX turn_conversation ON turn (conversation, seq);
CREATE INDEX turn_actor ON turn (actor, seq);

CREATE TABLE conversation (
    conversation text COLLATE "C" PRIMARY KEY,
    workspace    text COLLATE "C" NOT NULL,
    platform     text COLLATE "C" NOT NULL,
    first_seq    bigint NOT NULL,
    last_seq     bigint NOT NULL,
    turns        bigint NOT NULL,
    pinned_model text COLLATE "C" NOT NULL DEFAULT ''
);

-- The book. A posting never changes; accounts, holds and counters are projections. Debits are above 0.
CREATE TABLE posting (
    seq      bigint NOT NULL,
    n        bigint NOT NULL,
    account  text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    amount   bigint NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (seq, n)
);
CREATE TRIGGER posting_keeps BEFORE UPDATE OR DELETE ON posting FOR EACH ROW EXECUTE FUNCTION is_kept();
CREATE TRIGGER posting_stays BEFORE TRUNCATE ON posting FOR EACH STATEMENT EXECUTE FUNCTION is_kept();
ALTER TABLE posting ENABLE ALWAYS TRIGGER posting_keeps;
ALTER TABLE posting ENABLE ALWAYS TRIGGER posting_stays;
REVOKE UPDATE, DELETE, TRUNCATE ON posting FROM PUBLIC, CURRENT_USER;

CREATE TABLE account (
    account    text COLLATE "C" NOT NULL,
    currency   text COLLATE "C" NOT NULL,
    workspace  text COLLATE "C" NOT NULL,
    owner      text COLLATE "C" NOT NULL,
    balance    bigint NOT NULL,
    expires_us bigint,
    PRIMARY KEY (account, currency),
    CONSTRAINT rc001 CHECK ((account NOT LIKE 'L:ws:%' OR balance <= 0) AND (account NOT LIKE 'A:ws:%' OR balance >= 0))
);
CREATE INDEX account_pocket ON account (workspace, owner) WHERE workspace <> '' AND balance <> 0;

CREATE TABLE hold (
    hold      text COLLATE "C" PRIMARY KEY,
    workspace text COLLATE "C" NOT NULL,
    state     text COLLATE "C" NOT NULL,
    drawn     text COLLATE "C" NOT NULL,
    expected  bigint NOT NULL,
    charged   bigint NOT NULL,
    counters  text COLLATE "C" NOT NULL
);
CREATE INDEX hold_open ON hold (workspace) WHERE state = 'open';

CREATE TABLE counter (
    workspace text COLLATE "C" NOT NULL,
    subject   text COLLATE "C" NOT NULL,
    period    text COLLATE "C" NOT NULL,
    amount    bigint NOT NULL,
    PRIMARY KEY (workspace, subject, period)
);

-- What an explorer may see: no text and no salt. It reads as the views' owner, and has no right on the tables below them.
CREATE VIEW published_entry AS SELECT seq, leaf, hash, action FROM entry;
CREATE VIEW published_head AS SELECT size, hash, mono, frontier FROM head;
CREATE VIEW published_subtree AS SELECT level, number, hash FROM subtree;
CREATE VIEW published_checkpoint AS SELECT size, root, note FROM checkpoint;
