-- Tables (t_*) are syncd's own and may change with any version; the views below are the contract.
-- Times in tables are seconds since 1970-01-01 UTC; views show them as ISO 8601 text.

CREATE TABLE t_organization (
  key        INTEGER PRIMARY KEY,
  name       TEXT NOT NULL UNIQUE,
  provider   TEXT NOT NULL,
  customer   TEXT NOT NULL DEFAULT '',          -- the provider's own id; bound at the first sync
  unsettled  INTEGER NOT NULL DEFAULT 0 CHECK (unsettled IN (0, 1)),  -- tokens changed, applications not yet
  created_at REAL NOT NULL
) STRICT;

-- One run of an organization at a time: whoever holds its row may write for it.
CREATE TABLE t_lease (
  organization INTEGER PRIMARY KEY REFERENCES t_organization (key),
  owner        TEXT NOT NULL,
  pid          INTEGER NOT NULL,
  taken_at     REAL NOT NULL,
  heartbeat_at REAL NOT NULL
) STRICT;

CREATE TABLE t_run (
  key             INTEGER PRIMARY KEY AUTOINCREMENT,
  organization    INTEGER NOT NULL REFERENCES t_organization (key),
  state           TEXT NOT NULL CHECK (state IN ('running', 'succeeded', 'partial', 'failed', 'aborted', 'interrupted')),
  reason          TEXT NOT NULL DEFAULT '',
  endpoints       TEXT NOT NULL,                -- JSON array
  started_at      REAL NOT NULL,
  updated_at      REAL NOT NULL,
  finished_at     REAL,
  resumes         INTEGER NOT NULL DEFAULT 0,
  counts          TEXT NOT NULL DEFAULT '{}',   -- JSON: entity -> added, changed, removed, read, bad, held, dropped
  requests        INTEGER NOT NULL DEFAULT 0,
  request_seconds REAL NOT NULL DEFAULT 0,      -- time spent in requests, all of them added up
  wall_seconds    REAL NOT NULL DEFAULT 0,      -- time in which the run was worked on
  peak_cpu        REAL,                         -- percent
  peak_memory     REAL,                         -- percent
  brakes          INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX run_organization ON t_run (organization, key);

CREATE TABLE t_endpoint (
  run         INTEGER NOT NULL REFERENCES t_run (key),
  endpoint    TEXT NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('running', 'succeeded', 'partial', 'failed', 'interrupted')),
  reason      TEXT NOT NULL DEFAULT '',
  phase       TEXT NOT NULL DEFAULT '',
  progress    TEXT NOT NULL DEFAULT '',         -- JSON: what of its queue is done
  unreadable  INTEGER NOT NULL DEFAULT 0,
  started_at  REAL NOT NULL,
  finished_at REAL,
  PRIMARY KEY (run, endpoint)
) STRICT, WITHOUT ROWID;

CREATE TABLE t_user (
  key           INTEGER PRIMARY KEY AUTOINCREMENT,
  organization  INTEGER NOT NULL REFERENCES t_organization (key),
  id            TEXT NOT NULL,
  kind          TEXT NOT NULL CHECK (kind IN ('human', 'guest', 'service')),
  email         TEXT NOT NULL,
  name          TEXT NOT NULL,
  status        TEXT NOT NULL CHECK (status IN ('active', 'suspended', 'archived')),
  is_admin      INTEGER NOT NULL CHECK (is_admin IN (0, 1)),
  org_unit      TEXT NOT NULL,
  created_at    TEXT NOT NULL,
  last_login_at TEXT NOT NULL,
  hash          BLOB NOT NULL,
  first_seen_at INTEGER NOT NULL,
  changed_at    INTEGER NOT NULL,
  removed_at    INTEGER,
  UNIQUE (organization, id)
) STRICT;
CREATE INDEX user_email ON t_user (organization, email);

CREATE TABLE t_application (
  key           INTEGER PRIMARY KEY AUTOINCREMENT,
  organization  INTEGER NOT NULL REFERENCES t_organization (key),
  id            TEXT NOT NULL,
  name          TEXT NOT NULL,
  first_seen_at INTEGER NOT NULL,
  changed_at    INTEGER NOT NULL,
  removed_at    INTEGER,
  UNIQUE (organization, id)
) STRICT;

CREATE TABLE t_token (
  key              INTEGER PRIMARY KEY AUTOINCREMENT,
  organization     INTEGER NOT NULL REFERENCES t_organization (key),
  principal_kind   TEXT NOT NULL CHECK (principal_kind IN ('user', 'organization', 'group', 'service')),
  principal_id     TEXT NOT NULL,
  application      INTEGER NOT NULL REFERENCES t_application (key),
  id               TEXT NOT NULL,
  kind             TEXT NOT NULL,
  scopes           TEXT NOT NULL,               -- JSON array, sorted
  native           INTEGER NOT NULL CHECK (native IN (0, 1)),
  anonymous        INTEGER NOT NULL CHECK (anonymous IN (0, 1)),
  application_name TEXT NOT NULL,
  hash             BLOB NOT NULL,
  first_seen_at    INTEGER NOT NULL,
  changed_at       INTEGER NOT NULL,
  removed_at       INTEGER,
  UNIQUE (organization, principal_kind, principal_id, application, id)
) STRICT;
CREATE INDEX token_application ON t_token (application);

CREATE TABLE t_group (
  key           INTEGER PRIMARY KEY AUTOINCREMENT,
  organization  INTEGER NOT NULL REFERENCES t_organization (key),
  id            TEXT NOT NULL,
  email         TEXT NOT NULL,
  name          TEXT NOT NULL,
  description   TEXT NOT NULL,
  hash          BLOB NOT NULL,
  first_seen_at INTEGER NOT NULL,
  changed_at    INTEGER NOT NULL,
  removed_at    INTEGER,
  UNIQUE (organization, id)
) STRICT;

CREATE TABLE t_relation (
  key           INTEGER PRIMARY KEY AUTOINCREMENT,
  organization  INTEGER NOT NULL REFERENCES t_organization (key),
  object_kind   TEXT NOT NULL CHECK (object_kind IN ('group', 'application')),
  object_id     TEXT NOT NULL,
  kind          TEXT NOT NULL CHECK (kind IN ('member', 'assignment')),
  subject_kind  TEXT NOT NULL CHECK (subject_kind IN ('user', 'group', 'service', 'external', 'everyone')),
  subject_id    TEXT NOT NULL,
  role_id       TEXT NOT NULL,
  role          TEXT NOT NULL,
  subject_email TEXT NOT NULL,                  -- as the listing shows it; the only name of outsiders
  hash          BLOB NOT NULL,
  first_seen_at INTEGER NOT NULL,
  changed_at    INTEGER NOT NULL,
  removed_at    INTEGER,
  UNIQUE (organization, object_kind, object_id, kind, subject_kind, subject_id, role_id)
) STRICT;
CREATE INDEX relation_subject ON t_relation (organization, subject_kind, subject_id);

-- The change feed. `row` is the key in the entity's table; `added` needs no copy of the row.
CREATE TABLE t_change (
  seq    INTEGER PRIMARY KEY AUTOINCREMENT,
  run    INTEGER NOT NULL REFERENCES t_run (key),
  at     INTEGER NOT NULL,
  entity INTEGER NOT NULL CHECK (entity BETWEEN 1 AND 5),   -- 1 user 2 token 3 group 4 relation 5 application
  row    INTEGER NOT NULL,
  kind   INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 3),     -- 1 added 2 changed 3 removed
  before TEXT,
  after  TEXT
) STRICT;

-- Collections that are an exception; one that was simply read has no row.
CREATE TABLE t_collection (
  organization INTEGER NOT NULL REFERENCES t_organization (key),
  kind         TEXT NOT NULL,
  parent       TEXT NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('unreadable', 'not_applicable')),
  reason       TEXT NOT NULL,
  since        REAL NOT NULL,
  last_good_at REAL,
  run          INTEGER NOT NULL,
  PRIMARY KEY (organization, kind, parent)
) STRICT, WITHOUT ROWID;

-- Collections of several pages that are being read, with what continues them.
CREATE TABLE t_reading (
  run      INTEGER NOT NULL REFERENCES t_run (key),
  kind     TEXT NOT NULL,
  parent   TEXT NOT NULL,
  cursor   TEXT,                                -- NULL: all pages are in
  pages    INTEGER NOT NULL,
  proven   INTEGER NOT NULL CHECK (proven IN (0, 1)),
  restarts INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (run, kind, parent)
) STRICT, WITHOUT ROWID;

-- What each page of such a collection showed, until its sweep; also the queue of the work that
-- follows from it. `queued` is NULL where it is the same as `shown`.
CREATE TABLE t_page (
  run    INTEGER NOT NULL REFERENCES t_run (key),
  kind   TEXT NOT NULL,
  parent TEXT NOT NULL,
  page   INTEGER NOT NULL,
  first  INTEGER NOT NULL,                      -- place of the first queued row in the queue
  shown  TEXT NOT NULL,                         -- JSON array of row keys
  queued TEXT,
  PRIMARY KEY (run, kind, parent, page)
) STRICT, WITHOUT ROWID;

-- Rows that a complete pass over a paged listing did not show.
CREATE TABLE t_missing (
  entity       INTEGER NOT NULL,
  row          INTEGER NOT NULL,
  organization INTEGER NOT NULL REFERENCES t_organization (key),
  kind         TEXT NOT NULL,
  parent       TEXT NOT NULL,
  run          INTEGER NOT NULL,                -- the last complete pass without it
  passes       INTEGER NOT NULL,                -- complete passes in a row without it
  PRIMARY KEY (entity, row)
) STRICT, WITHOUT ROWID;

CREATE INDEX missing_collection ON t_missing (organization, kind, parent);

CREATE TABLE t_tombstone (
  run INTEGER NOT NULL REFERENCES t_run (key),
  row INTEGER NOT NULL,
  PRIMARY KEY (run, row)
) STRICT, WITHOUT ROWID;

-- Removals that have their proof and wait for the end of their endpoint, when the guard judges them.
CREATE TABLE t_removal (
  run     INTEGER NOT NULL REFERENCES t_run (key),
  entity  INTEGER NOT NULL,
  row     INTEGER NOT NULL,
  witness TEXT NOT NULL,
  PRIMARY KEY (run, entity, row)
) STRICT, WITHOUT ROWID;

-- Removals that the guard held back.
CREATE TABLE t_hold (
  organization INTEGER NOT NULL REFERENCES t_organization (key),
  entity       INTEGER NOT NULL,
  digest       TEXT NOT NULL,
  rows         INTEGER NOT NULL,
  live         INTEGER NOT NULL,
  passes       INTEGER NOT NULL,
  first_at     REAL NOT NULL,
  last_at      REAL NOT NULL,
  run          INTEGER NOT NULL,
  PRIMARY KEY (organization, entity)
) STRICT, WITHOUT ROWID;

-- Collections in whose decoding the process died.
CREATE TABLE t_death (
  run    INTEGER NOT NULL REFERENCES t_run (key),
  kind   TEXT NOT NULL,
  parent TEXT NOT NULL,
  deaths INTEGER NOT NULL,
  PRIMARY KEY (run, kind, parent)
) STRICT, WITHOUT ROWID;

-- Views: what people query.

CREATE VIEW users_all AS
SELECT o.name AS organization, u.id, u.kind, u.email, u.name, u.status, u.is_admin, u.org_unit,
       nullif(u.created_at, '') AS created_at, nullif(u.last_login_at, '') AS last_login_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', u.first_seen_at, 'unixepoch') AS first_seen_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', u.changed_at, 'unixepoch') AS changed_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', u.removed_at, 'unixepoch') AS removed_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', coalesce(c.last_good_at, c.since), 'unixepoch') AS stale_since
FROM t_user u
JOIN t_organization o ON o.key = u.organization
LEFT JOIN t_collection c ON c.organization = u.organization AND c.kind = 'users' AND c.parent = '';

CREATE VIEW users AS SELECT * FROM users_all WHERE removed_at IS NULL;

CREATE VIEW applications_all AS
SELECT o.name AS organization, a.id, a.name,
       (SELECT count(*) FROM t_token t WHERE t.application = a.key AND t.removed_at IS NULL) AS tokens,
       strftime('%Y-%m-%dT%H:%M:%SZ', a.first_seen_at, 'unixepoch') AS first_seen_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', max(a.changed_at, a.first_seen_at), 'unixepoch') AS changed_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', a.removed_at, 'unixepoch') AS removed_at,
       NULL AS stale_since
FROM t_application a
JOIN t_organization o ON o.key = a.organization;

CREATE VIEW applications AS SELECT * FROM applications_all WHERE removed_at IS NULL;

CREATE VIEW tokens_all AS
SELECT o.name AS organization, t.principal_kind, t.principal_id,
       CASE t.principal_kind WHEN 'user' THEN t.principal_id END AS user_id,
       a.id AS application_id, t.id, t.kind, t.scopes, t.native, t.anonymous,
       strftime('%Y-%m-%dT%H:%M:%SZ', t.first_seen_at, 'unixepoch') AS first_seen_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', t.changed_at, 'unixepoch') AS changed_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', t.removed_at, 'unixepoch') AS removed_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', coalesce(c.last_good_at, c.since), 'unixepoch') AS stale_since
FROM t_token t
JOIN t_organization o ON o.key = t.organization
JOIN t_application a ON a.key = t.application
LEFT JOIN t_collection c ON c.organization = t.organization AND c.kind = 'tokens'
     AND c.parent = t.principal_id AND t.principal_kind = 'user';

CREATE VIEW tokens AS SELECT * FROM tokens_all WHERE removed_at IS NULL;

CREATE VIEW groups_all AS
SELECT o.name AS organization, g.id, g.email, g.name, g.description,
       strftime('%Y-%m-%dT%H:%M:%SZ', g.first_seen_at, 'unixepoch') AS first_seen_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', g.changed_at, 'unixepoch') AS changed_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', g.removed_at, 'unixepoch') AS removed_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', coalesce(c.last_good_at, c.since), 'unixepoch') AS stale_since
FROM t_group g
JOIN t_organization o ON o.key = g.organization
LEFT JOIN t_collection c ON c.organization = g.organization AND c.kind = 'groups' AND c.parent = '';

CREATE VIEW groups AS SELECT * FROM groups_all WHERE removed_at IS NULL;

CREATE VIEW relations_all AS
SELECT o.name AS organization, r.kind, r.subject_kind, r.subject_id, r.object_kind, r.object_id,
       r.role_id, r.role, nullif(r.subject_email, '') AS subject_email,
       strftime('%Y-%m-%dT%H:%M:%SZ', r.first_seen_at, 'unixepoch') AS first_seen_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', r.changed_at, 'unixepoch') AS changed_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', r.removed_at, 'unixepoch') AS removed_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', coalesce(c.last_good_at, c.since), 'unixepoch') AS stale_since
FROM t_relation r
JOIN t_organization o ON o.key = r.organization
LEFT JOIN t_collection c ON c.organization = r.organization AND c.kind = 'members'
     AND c.parent = r.object_id AND r.object_kind = 'group';

CREATE VIEW relations AS SELECT * FROM relations_all WHERE removed_at IS NULL;

-- One row for each user and application that the user gave access to, or that the organization
-- gave access to everybody's data (`via`).
CREATE VIEW user_applications AS
WITH grants AS (
  SELECT t.organization, t.principal_id AS user_id, t.application, t.key AS token, 'own' AS via
  FROM t_token t WHERE t.principal_kind = 'user' AND t.removed_at IS NULL
  UNION ALL
  SELECT u.organization, u.id, t.application, t.key, 'organization'
  FROM t_token t JOIN t_user u ON u.organization = t.organization AND u.removed_at IS NULL
  WHERE t.principal_kind = 'organization' AND t.removed_at IS NULL
),
merged AS (
  SELECT organization, user_id, application, max(via) AS via,
         json_group_array(DISTINCT scope) FILTER (WHERE scope IS NOT NULL) AS scopes
  FROM (SELECT g.organization, g.user_id, g.application, g.via, s.value AS scope
        FROM grants g JOIN t_token t ON t.key = g.token LEFT JOIN json_each(t.scopes) s
        ORDER BY g.organization, g.user_id, g.application, s.value)
  GROUP BY organization, user_id, application
)
SELECT o.name AS organization, m.user_id, u.email AS user_email, u.name AS user_name, u.status AS user_status,
       a.id AS application_id, a.name AS application_name, m.scopes, m.via
FROM merged m
JOIN t_organization o ON o.key = m.organization
JOIN t_application a ON a.key = m.application
LEFT JOIN t_user u ON u.organization = m.organization AND u.id = m.user_id;

CREATE VIEW runs AS
SELECT o.name AS organization, r.key AS id,
       -- A run whose process gives no sign of life any more was killed.
       CASE WHEN r.state = 'running' AND NOT EXISTS (
              SELECT 1 FROM t_lease l WHERE l.organization = r.organization
              AND l.heartbeat_at > strftime('%s', 'now') - 60)
            THEN 'interrupted' ELSE r.state END AS state,
       nullif(r.reason, '') AS reason, r.endpoints,
       strftime('%Y-%m-%dT%H:%M:%SZ', r.started_at, 'unixepoch') AS started_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', r.updated_at, 'unixepoch') AS updated_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', r.finished_at, 'unixepoch') AS finished_at,
       r.resumes, r.counts, r.requests, r.request_seconds, r.wall_seconds,
       r.peak_cpu, r.peak_memory, r.brakes,
       (SELECT coalesce(sum(e.unreadable), 0) FROM t_endpoint e WHERE e.run = r.key) AS unreadable
FROM t_run r
JOIN t_organization o ON o.key = r.organization;

CREATE VIEW changes AS
SELECT c.seq, o.name AS organization, c.run AS run_id,
       strftime('%Y-%m-%dT%H:%M:%SZ', c.at, 'unixepoch') AS at,
       CASE c.entity WHEN 1 THEN 'user' WHEN 2 THEN 'token' WHEN 3 THEN 'group'
                     WHEN 4 THEN 'relation' ELSE 'application' END AS entity,
       CASE c.entity
         WHEN 1 THEN (SELECT json_object('id', id) FROM t_user WHERE key = c.row)
         WHEN 2 THEN (SELECT json_object('principal_kind', t.principal_kind, 'principal_id', t.principal_id,
                             'application_id', a.id, 'id', t.id)
                      FROM t_token t JOIN t_application a ON a.key = t.application WHERE t.key = c.row)
         WHEN 3 THEN (SELECT json_object('id', id) FROM t_group WHERE key = c.row)
         WHEN 4 THEN (SELECT json_object('kind', kind, 'subject_kind', subject_kind, 'subject_id', subject_id,
                             'object_kind', object_kind, 'object_id', object_id, 'role_id', role_id)
                      FROM t_relation WHERE key = c.row)
         ELSE (SELECT json_object('id', id) FROM t_application WHERE key = c.row)
       END AS key,
       CASE c.kind WHEN 1 THEN 'added' WHEN 2 THEN 'changed' ELSE 'removed' END AS kind,
       c.before, c.after
FROM t_change c
JOIN t_run r ON r.key = c.run
JOIN t_organization o ON o.key = r.organization;

-- The exceptions: collections that could not be read, or have nothing to read by design.
CREATE VIEW collections AS
SELECT o.name AS organization, c.kind, c.parent AS parent_id, c.state, c.reason,
       strftime('%Y-%m-%dT%H:%M:%SZ', c.since, 'unixepoch') AS since,
       strftime('%Y-%m-%dT%H:%M:%SZ', c.last_good_at, 'unixepoch') AS last_good_at, c.run AS run_id
FROM t_collection c
JOIN t_organization o ON o.key = c.organization;

CREATE VIEW held_removals AS
SELECT o.name AS organization,
       CASE h.entity WHEN 1 THEN 'user' WHEN 2 THEN 'token' WHEN 3 THEN 'group' ELSE 'relation' END AS entity,
       h.rows, h.live, h.passes,
       strftime('%Y-%m-%dT%H:%M:%SZ', h.first_at, 'unixepoch') AS first_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', h.last_at, 'unixepoch') AS last_at, h.run AS run_id
FROM t_hold h
JOIN t_organization o ON o.key = h.organization;
