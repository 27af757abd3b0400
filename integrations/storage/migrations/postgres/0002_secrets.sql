-- Keys that people brought, sealed before they come here. No part of the record: a replay leaves them alone.
CREATE TABLE secret (
    owner  text COLLATE "C" NOT NULL,
    name   text COLLATE "C" NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (owner, name)
);
