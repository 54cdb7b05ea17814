-- Many transfers in one statement, for the outbox: the same rules and the same digests as ledger_post.

-- Arrays p_keys … p_memos hold one element a transfer; p_of, p_codes, p_amounts one a leg, `p_of` being the position of
-- its transfer (1, 2, …), in the order of the legs. One currency for all. All or none; what was posted before under the
-- same key and payload is answered with created = false.
CREATE OR REPLACE FUNCTION public.ledger_post_many(
    p_keys text[], p_kinds text[], p_reference_types text[], p_references text[], p_substations bigint[],
    p_events timestamptz[], p_rules integer[], p_memos jsonb[], p_currency text,
    p_of integer[], p_codes text[], p_amounts bigint[])
RETURNS TABLE (n integer, transfer_id bigint, public_id text, created boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stamp bigint := public.ledger_xid();
    size integer := cardinality(p_keys);
    digests bytea[];
    ids bigint[];
    names text[];
    fresh integer;
    odd text;
BEGIN
    IF NOT coalesce(size = ALL (ARRAY[cardinality(p_kinds), cardinality(p_reference_types), cardinality(p_references),
            cardinality(p_substations), cardinality(p_events), cardinality(p_rules), cardinality(p_memos)])
            AND cardinality(p_codes) = ALL (ARRAY[cardinality(p_of), cardinality(p_amounts)]), false) THEN
        RAISE EXCEPTION 'The lists differ in length.' USING ERRCODE = 'KG102';
    END IF;
    SELECT array_agg(sha256(convert_to(ROW(p_keys[t.n], p_kinds[t.n], p_reference_types[t.n], p_references[t.n], p_substations[t.n],
               extract(epoch FROM p_events[t.n]), t.codes, t.amounts, ARRAY[p_currency], p_rules[t.n], p_memos[t.n],
               NULL::text, NULL::bigint)::text, 'UTF8')) ORDER BY t.n)
    INTO digests
    FROM (SELECT l.of AS n, array_agg(l.code ORDER BY l.position) AS codes, array_agg(l.amount ORDER BY l.position) AS amounts
          FROM unnest(p_of, p_codes, p_amounts) WITH ORDINALITY AS l(of, code, amount, position)
          WHERE l.of BETWEEN 1 AND size GROUP BY l.of) t;
    IF cardinality(digests) IS DISTINCT FROM size OR EXISTS (SELECT FROM unnest(p_of) u WHERE u NOT BETWEEN 1 AND size)
        OR (SELECT count(DISTINCT u) FROM unnest(p_keys) u WHERE u <> '') <> size THEN
        RAISE EXCEPTION 'A transfer has a key of its own and two legs or more.' USING ERRCODE = 'KG102';
    END IF;
    -- In the order of the keys, so that two batches with the same ones never wait for each other crosswise.
    WITH added AS (
        INSERT INTO public.ledger_transfer AS t (public_id, idempotency_key, digest, kind, reference_type, reference,
            substation_id, split_rule_version, event_at, recorded_at, xid, memo)
        SELECT public.ledger_public_id(digests[k.n]), k.key, digests[k.n],
            p_kinds[k.n], p_reference_types[k.n], p_references[k.n], p_substations[k.n], p_rules[k.n], p_events[k.n],
            clock_timestamp(), stamp, p_memos[k.n]
        FROM unnest(p_keys) WITH ORDINALITY AS k(key, n) ORDER BY k.key
        ON CONFLICT (idempotency_key) DO NOTHING
        RETURNING t.id, t.public_id, t.idempotency_key)
    SELECT array_agg(a.id ORDER BY k.n), array_agg(a.public_id ORDER BY k.n), count(a.id) INTO ids, names, fresh
    FROM unnest(p_keys) WITH ORDINALITY AS k(key, n) LEFT JOIN added a ON a.idempotency_key = k.key;
    IF fresh < size THEN
        SELECT min(t.idempotency_key) INTO odd
        FROM unnest(p_keys) WITH ORDINALITY AS k(key, n) JOIN public.ledger_transfer t ON t.idempotency_key = k.key
        WHERE ids[k.n] IS NULL AND t.digest <> digests[k.n];
        IF odd IS NOT NULL THEN
            RAISE EXCEPTION 'The key % was used for another transfer.', odd USING ERRCODE = 'KG107', DETAIL = odd;
        END IF;
    END IF;
    INSERT INTO public.ledger_entry (transfer_id, leg, account_id, amount_minor, currency, xid)
    SELECT ids[l.of], row_number() OVER (PARTITION BY l.of ORDER BY l.position), coalesce(a.id, public.ledger_no_account(l.code)),
           l.amount, p_currency, stamp
    FROM unnest(p_of, p_codes, p_amounts) WITH ORDINALITY AS l(of, code, amount, position)
    LEFT JOIN public.ledger_account a ON a.code = l.code
    WHERE ids[l.of] IS NOT NULL;
    RETURN QUERY SELECT k.n::integer, coalesce(ids[k.n], t.id), coalesce(names[k.n], t.public_id::text), ids[k.n] IS NOT NULL
        FROM unnest(p_keys) WITH ORDINALITY AS k(key, n)
        LEFT JOIN public.ledger_transfer t ON ids[k.n] IS NULL AND t.idempotency_key = k.key ORDER BY k.n;
END
$$;
