-- Tasks. The document holds the scope; the columns are what endings are found by. Usage is in task_usage.
create table task (
    id text not null primary key,
    agent text not null,
    person text,
    parent text,
    root text not null,
    depth bigint not null,
    state text not null,
    deadline bigint not null,
    doc text not null
);
create index task_by_parent on task (parent) where parent is not null;
create index task_open_by_agent on task (agent) where state = 'open';
create index task_open_by_person on task (person) where state = 'open' and person is not null;
create index task_open_by_deadline on task (deadline) where state = 'open';
