-- Keys and secrets by which agents and workloads prove themselves. Secrets are stored as digests.
create table credential (
    id text not null primary key,
    principal text not null,
    revoked boolean not null,
    doc text not null
);
create index credential_by_principal on credential (principal);

-- Opaque tokens for the API, by the SHA-256 of their text.
create table api_token (
    id text not null primary key,
    principal text not null,
    digest bytea not null unique,
    revoked boolean not null,
    doc text not null
);

-- Writ's own signing keys. The private half is sealed with the key's id as associated data.
create table signing_key (
    id text not null primary key,
    kid text not null unique,
    state text not null,
    doc text not null,
    sealed bytea not null
);

-- Access tokens that were revoked one by one, until they would have expired anyway.
create table revoked_token (
    id text not null primary key,
    expires bigint not null
);
create index revoked_token_by_expiry on revoked_token (expires);
