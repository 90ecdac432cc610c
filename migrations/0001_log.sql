-- The log, what is computed from it, and what is written together with it.
-- Times are milliseconds since 1970, ids prefixed text. Bytes are raw.

-- One row. Its lock orders commits: it is the last lock that a transaction takes.
create table log_head (
    id integer not null primary key check (id = 1),
    position bigint not null,
    guard_position bigint not null,
    state_position bigint not null,
    time bigint not null,
    generation bigint not null,
    generation_started_at bigint not null,
    generation_position bigint not null,
    leaf bytea not null
);

-- One row. On PostgreSQL its lock keeps writers of the control plane apart, as SQLite's single writer does.
create table writer_lock (id integer not null primary key check (id = 1));
insert into writer_lock (id) values (1);

-- What tasks have used, and what they may use; null means without bound.
create table task_usage (
    task text not null primary key,
    calls_used bigint not null,
    calls_max bigint,
    bytes_used bigint not null,
    bytes_max bigint
);

-- Proofs that were used, until they would be too old anyway.
create table proof (
    digest bytea not null primary key,
    expires bigint not null
);
create index proof_by_expiry on proof (expires);

-- The key from which those of payloads derive, sealed. One row.
create table payload_root (
    id integer not null primary key check (id = 1),
    sealed bytea not null
);

-- Hash tiles of the Merkle tree (C2SP tlog-tiles). The last tile of a level may hold fewer than 256 hashes and
-- grows in place; a narrower tile is a prefix of it.
create table tile (
    level integer not null,
    idx bigint not null,
    hashes bytea not null,
    primary key (level, idx)
);

create table checkpoint (
    size bigint not null primary key,
    root bytea not null,
    note text not null,
    time bigint not null
);

-- The key that signs checkpoints, sealed.
create table log_key (
    id text not null primary key,
    origin text not null,
    vkey text not null,
    seed_sealed bytea not null
);

-- A known text sealed with the key-encryption key: tells a wrong key from a right one at start.
create table kek_check (
    id integer not null primary key check (id = 1),
    sealed bytea not null
);
