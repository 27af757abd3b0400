-- Keys that people brought, sealed before they come here. No part of the record: a replay leaves them alone.
CREATE TABLE secret (
    owner  TEXT NOT NULL,
    name   TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;
