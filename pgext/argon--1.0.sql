\echo Use "CREATE EXTENSION argon" to load this file. \quit

CREATE FUNCTION counters(OUT name text, OUT value bigint) RETURNS SETOF record
AS 'MODULE_PATHNAME', 'argon_counters' LANGUAGE C VOLATILE STRICT;

CREATE FUNCTION positions(OUT name text, OUT lsn pg_lsn) RETURNS SETOF record
AS 'MODULE_PATHNAME', 'argon_positions' LANGUAGE C VOLATILE STRICT;

CREATE FUNCTION version_supported(server_version_num integer) RETURNS boolean
AS 'MODULE_PATHNAME', 'argon_version_supported' LANGUAGE C IMMUTABLE STRICT;

CREATE VIEW stat AS SELECT * FROM counters();
CREATE VIEW wal AS SELECT * FROM positions();
