\echo Use "CREATE EXTENSION argon" to load this file. \quit

CREATE FUNCTION counters(OUT name text, OUT value bigint) RETURNS SETOF record
AS 'MODULE_PATHNAME', 'argon_counters' LANGUAGE C VOLATILE STRICT;

CREATE FUNCTION positions(OUT name text, OUT lsn pg_lsn) RETURNS SETOF record
AS 'MODULE_PATHNAME', 'argon_positions' LANGUAGE C VOLATILE STRICT;

-- Bytes of all relations of the cluster (NULL: the pageserver has not said yet). What argon.max_cluster_size bounds.
CREATE FUNCTION cluster_size() RETURNS bigint
AS 'MODULE_PATHNAME', 'argon_cluster_size' LANGUAGE C VOLATILE STRICT;

CREATE FUNCTION version_supported(server_version_num integer) RETURNS boolean
AS 'MODULE_PATHNAME', 'argon_version_supported' LANGUAGE C IMMUTABLE STRICT;

-- Begins a prewarm with the list of pages that there is (false: there is none).
CREATE FUNCTION prewarm() RETURNS boolean
AS 'MODULE_PATHNAME', 'argon_prewarm' LANGUAGE C VOLATILE STRICT;
REVOKE EXECUTE ON FUNCTION prewarm() FROM PUBLIC;

CREATE FUNCTION prewarm_progress(OUT state text, OUT pages_kept bigint, OUT pages_listed bigint, OUT pages_present bigint,
                                 OUT pages_fetched bigint, OUT pages_left_out bigint, OUT began timestamptz, OUT ended timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'argon_prewarm_state' LANGUAGE C VOLATILE STRICT;

CREATE VIEW stat AS SELECT * FROM counters();
CREATE VIEW wal AS SELECT * FROM positions();
CREATE VIEW prewarm_state AS SELECT * FROM prewarm_progress();
