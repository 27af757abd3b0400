-- What was found wrong with the ledger: while it stands, no process appends. Empty: nothing.
ALTER TABLE head ADD COLUMN fault TEXT NOT NULL DEFAULT '';
