-- How persons prove themselves. A password is kept as its Argon2id hash, the seed of a generator of codes sealed, a passkey
-- as its public half. `used` counts up: the last step of a generator, so that no code is taken twice.
create table authenticator (
    id text not null primary key,
    person text not null,
    kind text not null,
    handle bytea unique,
    used bigint not null,
    doc text not null,
    sealed bytea
);
create index authenticator_by_person on authenticator (person);

-- Recovery codes by their SHA-256; a spent one is gone.
create table recovery_code (
    digest bytea not null primary key,
    person text not null
);
create index recovery_code_by_person on recovery_code (person);

-- Links by which a person comes in, by the SHA-256 of their code; a used one is gone.
create table invitation (
    digest bytea not null primary key,
    person text not null,
    expires bigint not null,
    doc text not null
);
create index invitation_by_expiry on invitation (expires);

-- Persons' sessions in browsers, by the SHA-256 of the cookie. `seen` is a matter of minutes.
create table session (
    id text not null primary key,
    digest bytea not null unique,
    person text not null,
    ended boolean not null,
    seen bigint not null,
    expires bigint not null,
    doc text not null
);
create index session_by_person on session (person) where not ended;
create index session_by_expiry on session (expires);

-- Clients that an administrator registered.
create table client (id text not null primary key, tenant text not null, name text not null, version bigint not null, created bigint not null, doc text not null, unique (tenant, name));

-- Clients that registered themselves (RFC 7591). One that nobody agreed to ends by itself.
create table registration (
    id text not null primary key,
    expires bigint,
    doc text not null
);
create index registration_by_expiry on registration (expires) where expires is not null;

-- What persons let clients do. It ends with `expires`, or when somebody takes it back.
create table delegation (
    id text not null primary key,
    person text not null,
    client text not null,
    ended boolean not null,
    expires bigint not null,
    doc text not null
);
create index delegation_by_person on delegation (person) where not ended;
create index delegation_by_expiry on delegation (expires);

-- Codes and refresh tokens by their SHA-256. A spent one is kept for as long as it could have been good, so that whoever
-- comes with it again is recognised.
create table authorization_code (
    digest bytea not null primary key,
    delegation text not null,
    spent boolean not null,
    expires bigint not null,
    doc text not null
);
create index authorization_code_by_expiry on authorization_code (expires);

create table refresh_token (
    digest bytea not null primary key,
    delegation text not null,
    spent boolean not null,
    expires bigint not null,
    jkt text
);
create index refresh_token_by_expiry on refresh_token (expires);

-- Requests that were pushed (RFC 9126), by the SHA-256 of their URI; a used one is gone.
create table pushed_request (
    digest bytea not null primary key,
    client text not null,
    expires bigint not null,
    body text not null
);
create index pushed_request_by_expiry on pushed_request (expires);

-- Devices that wait (RFC 8628), by the SHA-256 of their code. `state` goes from waiting to agreed or refused to spent.
create table device_code (
    digest bytea not null primary key,
    user_code text not null unique,
    state text not null,
    polled bigint not null,
    expires bigint not null,
    delegation text,
    doc text not null
);
create index device_code_by_expiry on device_code (expires);
