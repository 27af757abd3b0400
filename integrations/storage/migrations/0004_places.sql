-- A key that is scattered, as a commitment and a turn's name are, makes a batch write a page of its own for each row. What is
-- looked for by the number of an entry is written at the end.

-- A text by its entry. One that no entry names is nobody's, and is not carried over.
CREATE TABLE payload_of_entry (
    seq  INTEGER PRIMARY KEY,
    salt BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;
INSERT INTO payload_of_entry (seq, salt, body)
SELECT entry.seq, salt, body FROM entry JOIN payload ON payload.commitment = entry.commitment ORDER BY entry.seq;
DROP TABLE payload;
ALTER TABLE payload_of_entry RENAME TO payload;

-- Entries of a turn by the entry that opened it; NULL for those before it, and of a turn that none opened.
ALTER TABLE entry ADD COLUMN began INTEGER;
DROP TRIGGER entry_keeps;
UPDATE entry SET began = (SELECT turn.seq FROM turn WHERE turn.turn = entry.turn AND turn.seq <= entry.seq);
CREATE TRIGGER entry_keeps BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'RC011: an entry is never changed'); END;
DROP INDEX entry_turn;
CREATE INDEX entry_began ON entry (began) WHERE began IS NOT NULL;
CREATE INDEX entry_unopened ON entry (turn) WHERE began IS NULL AND turn <> '';
