-- What is kept by position. SQLite takes a key for the row's own number, and needs no second tree for it, only where it is
-- spelled `integer`; PostgreSQL's integers of that name are too small. POSITION stands for the one or the other.

create table record (
    position POSITION not null primary key,
    time bigint not null,
    kind text not null,
    tenant text not null,
    actor text not null,
    subject text,
    task text,
    intent bigint,
    leaf bytea not null,
    body text not null
);
-- Of each intent the outcome. Each has one.
create unique index record_by_intent on record (intent) where intent is not null;
-- All that is asked of the whole log by kind. Times are found by position, since they never decrease along it.
create index record_of_revocation on record (subject, position) where kind = 'authority.revoked';

-- Intents whose outcome has not been recorded yet.
create table open_intent (
    position POSITION not null primary key,
    at bigint not null,
    node text not null
);

-- Contents that records name by a keyed digest, by the record that does. Erasing sets salt and ciphertext to null, and the
-- digest says nothing any more, since its key cannot be derived again.
create table payload (
    position POSITION not null primary key,
    id text not null,
    salt bytea,
    ciphertext bytea
);
