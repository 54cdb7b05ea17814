-- A substation's transaction leaves work for a worker; the job's tenant is the caller and nobody else.
CREATE OR REPLACE FUNCTION gate.enqueue(p_kind text, p_payload jsonb, p_run_at timestamptz, p_dedupe text)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made bigint;
BEGIN
    PERFORM gate.caller_id();
    INSERT INTO public.jobs_job (kind, schema_name, payload, state, attempts, max_attempts, run_at, dedupe_key,
                                 last_error, created_at)
    VALUES (p_kind, current_setting('role'), p_payload, 'PENDING', 0, 12, p_run_at, p_dedupe, '', now())
    ON CONFLICT (kind, schema_name, dedupe_key) WHERE state = 'PENDING' AND NOT (dedupe_key = '') DO NOTHING
    RETURNING id INTO made;
    RETURN made;  -- NULL: the same wish waits already.
END
$$;
GRANT EXECUTE ON FUNCTION gate.enqueue(text, jsonb, timestamptz, text) TO kameng_tenant;
