-- The chain: block = SHA-256(previous block, leaves); leaf = SHA-256 of a transfer and all its legs.

-- The leaves of the transfers in a range of transactions, from what the tables say now, in the order of their ids.
-- `marks`: the first eight bytes of each leg's hash, in the order of the legs.
CREATE OR REPLACE FUNCTION public.ledger_leaves(p_first bigint, p_cut bigint)
RETURNS TABLE (transfer_id bigint, leaf_hash bytea, marks bytea)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
    SELECT t.id,
           sha256(convert_to(jsonb_build_array(t.id, t.public_id, t.idempotency_key, encode(t.digest, 'hex'), t.kind,
               t.reference_type, t.reference, t.substation_id, t.relation, t.related_id, t.split_rule_version, t.event_at,
               t.recorded_at, t.xid, t.memo)::text, 'UTF8') || coalesce(l.hashes, '')),
           coalesce(l.marks, '')
    FROM public.ledger_transfer t
    CROSS JOIN LATERAL (
        SELECT string_agg(h.hash, ''::bytea ORDER BY h.leg) AS hashes,
               string_agg(substring(h.hash FROM 1 FOR 8), ''::bytea ORDER BY h.leg) AS marks
        FROM (SELECT e.leg, sha256(convert_to(concat_ws('|', e.transfer_id, e.leg, e.account_id, e.amount_minor, e.currency,
                                                        e.xid), 'UTF8')) AS hash
              FROM public.ledger_entry e WHERE e.transfer_id = t.id) h) l
    WHERE t.xid >= p_first AND t.xid < p_cut
    ORDER BY t.id
$$;

-- The hash of a block over its leaves in the order of their ids. The first block follows 32 zero bytes.
CREATE OR REPLACE FUNCTION public.ledger_block_hash(p_previous bytea, p_height bigint, p_first bigint, p_cut bigint, p_leaves bytea)
RETURNS bytea
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(p_previous || convert_to(concat_ws('|', p_height, p_first, p_cut), 'UTF8') || p_leaves)
$$;

-- Seal one block of about `p_size` transfers, whole transactions, before the horizon. Answers its height, or NULL when
-- nothing waits. Two sealers at once: the second waits on the control row's lock and seals what is left.
CREATE OR REPLACE FUNCTION public.ledger_seal(p_at timestamptz, p_size integer DEFAULT 2000) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    control public.ledger_control;
    last public.ledger_block;
    horizon bigint;
    cut bigint;
    leaves bytea;
    counted integer;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'The sealer wants READ COMMITTED.' USING ERRCODE = 'KG112';
    END IF;
    PERFORM public.ledger_xid();
    SELECT c.* INTO control FROM public.ledger_control c WHERE c.id = 1 FOR UPDATE;
    horizon := public.ledger_horizon();
    -- Any cut up to the horizon is a sound one: the block holds every transfer before it, early ids or late. This one
    -- ends the block after about `p_size` transfers, without a look at the others that wait.
    SELECT least(horizon, max(t.xid) + 1) INTO cut FROM (
        SELECT w.xid FROM public.ledger_transfer w
        WHERE w.id > coalesce((SELECT max(k.transfer_id) FROM public.ledger_leaf k), 0) ORDER BY w.id LIMIT p_size) t;
    cut := coalesce(cut, horizon);
    SELECT b.* INTO last FROM public.ledger_block b ORDER BY b.height DESC LIMIT 1;
    WITH found AS MATERIALIZED (
        SELECT f.* FROM public.ledger_leaves(control.sealed_to, cut) f),
    kept AS (
        INSERT INTO public.ledger_leaf (transfer_id, height, leaf_hash, marks)
        SELECT f.transfer_id, coalesce(last.height, 0) + 1, f.leaf_hash, f.marks FROM found f)
    SELECT string_agg(f.leaf_hash, ''::bytea ORDER BY f.transfer_id), count(*) INTO leaves, counted FROM found f;
    IF counted = 0 THEN
        RETURN NULL;
    END IF;
    INSERT INTO public.ledger_block (height, first_xid, cut_xid, previous_hash, block_hash, leaf_count, sealed_at)
    VALUES (coalesce(last.height, 0) + 1, control.sealed_to, cut, coalesce(last.block_hash, decode(repeat('00', 32), 'hex')),
            public.ledger_block_hash(coalesce(last.block_hash, decode(repeat('00', 32), 'hex')), coalesce(last.height, 0) + 1,
                                     control.sealed_to, cut, leaves), counted, p_at);
    UPDATE public.ledger_control SET sealed_to = cut, sealed_at = p_at, highest_cut = greatest(highest_cut, cut) WHERE id = 1;
    RETURN coalesce(last.height, 0) + 1;
END
$$;
