-- Things that are kept by name. Every kind has the same columns: what is asked for by the database stands in
-- columns, everything else in the document (docs/decisions). A write names the version that it is based on.

create table person (id text not null primary key, tenant text not null, name text not null, version bigint not null, created bigint not null, doc text not null, unique (tenant, name));
create table principal_group (id text not null primary key, tenant text not null, name text not null, version bigint not null, created bigint not null, doc text not null, unique (tenant, name));
create table workload (id text not null primary key, tenant text not null, name text not null, version bigint not null, created bigint not null, doc text not null, unique (tenant, name));
create table blueprint (id text not null primary key, tenant text not null, name text not null, version bigint not null, created bigint not null, doc text not null, unique (tenant, name));
create table agent (id text not null primary key, tenant text not null, name text not null, version bigint not null, created bigint not null, doc text not null, unique (tenant, name));
create table server (id text not null primary key, tenant text not null, name text not null, version bigint not null, created bigint not null, doc text not null, unique (tenant, name));
create table tool (id text not null primary key, tenant text not null, name text not null, version bigint not null, created bigint not null, doc text not null, unique (tenant, name));
create table role (id text not null primary key, tenant text not null, name text not null, version bigint not null, created bigint not null, doc text not null, unique (tenant, name));
create table access_grant (id text not null primary key, tenant text not null, name text not null, version bigint not null, created bigint not null, doc text not null, unique (tenant, name));
create table policy (id text not null primary key, tenant text not null, name text not null, version bigint not null, created bigint not null, doc text not null, unique (tenant, name));
create table secret (id text not null primary key, tenant text not null, name text not null, version bigint not null, created bigint not null, doc text not null, unique (tenant, name));

-- The values of secrets, sealed with the secret's id as associated data.
create table secret_value (
    id text not null primary key,
    sealed bytea not null
);
