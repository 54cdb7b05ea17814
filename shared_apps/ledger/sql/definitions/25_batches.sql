-- Many transfers in one statement, for the outbox: the same rules and the same digests as ledger_post.

-- Arrays p_keys … p_sizes hold one element a transfer; p_sizes its number of legs. p_legs and p_amounts hold one element
-- a leg, transfer after transfer, p_legs being a position in p_accounts (the codes, each once). One currency for all.
-- All or none; what was posted before under the same key and payload is answered with created = false.
CREATE OR REPLACE FUNCTION public.ledger_post_many(
    p_keys text[], p_kinds text[], p_reference_types text[], p_references text[], p_substations bigint[],
    p_events timestamptz[], p_rules integer[], p_memos jsonb[], p_sizes integer[],
    p_currency text, p_accounts text[], p_legs integer[], p_amounts bigint[])
RETURNS TABLE (n integer, transfer_id bigint, public_id text, created boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    stamp bigint := public.ledger_xid();
    size integer := cardinality(p_keys);
    accounts bigint[];
    leg_codes text[];
    digests bytea[];
    ids bigint[];
    names text[];
    fresh integer;
    clash text;
BEGIN
    IF NOT coalesce(size = ALL (ARRAY[cardinality(p_kinds), cardinality(p_reference_types), cardinality(p_references),
            cardinality(p_substations), cardinality(p_events), cardinality(p_rules), cardinality(p_memos),
            cardinality(p_sizes)])
        AND (SELECT sum(s) = cardinality(p_legs) AND min(s) > 0 FROM unnest(p_sizes) s)
        AND cardinality(p_legs) = cardinality(p_amounts)
        AND (SELECT count(DISTINCT u) FROM unnest(p_keys) u WHERE u <> '') = size, false) THEN
        RAISE EXCEPTION 'The lists do not fit each other, or a key stands twice.' USING ERRCODE = 'KG102';
    END IF;
    SELECT array_agg(coalesce(a.id, public.ledger_no_account(u.code)) ORDER BY u.n) INTO accounts
    FROM unnest(p_accounts) WITH ORDINALITY AS u(code, n) LEFT JOIN public.ledger_account a ON a.code = u.code;
    SELECT array_agg(p_accounts[l.account] ORDER BY l.n) INTO leg_codes FROM unnest(p_legs) WITH ORDINALITY AS l(account, n);
    SELECT array_agg(sha256(convert_to(ROW(t.key, t.kind, t.reference_type, t.reference, t.substation,
               extract(epoch FROM t.event_at),
               leg_codes[t.last - t.size + 1 : t.last],
               p_amounts[t.last - t.size + 1 : t.last], ARRAY[p_currency], t.rule, t.memo, NULL::text, NULL::bigint)::text,
               'UTF8')) ORDER BY t.n)
    INTO digests
    FROM (SELECT u.*, sum(u.size) OVER (ORDER BY u.n)::integer AS last
          FROM unnest(p_keys, p_kinds, p_reference_types, p_references, p_substations, p_events, p_rules, p_memos, p_sizes)
              WITH ORDINALITY AS u(key, kind, reference_type, reference, substation, event_at, rule, memo, size, n)) t;
    -- In the order of the keys, so that two batches with the same ones never wait for each other crosswise.
    WITH added AS (
        INSERT INTO public.ledger_transfer AS t (public_id, idempotency_key, digest, kind, reference_type, reference,
            substation_id, split_rule_version, event_at, recorded_at, xid, memo)
        SELECT public.ledger_public_id(u.digest), u.key, u.digest, u.kind, u.reference_type, u.reference, u.substation, u.rule,
            u.event_at, clock_timestamp(), stamp, u.memo
        FROM unnest(p_keys, digests, p_kinds, p_reference_types, p_references, p_substations, p_rules, p_events, p_memos)
            AS u(key, digest, kind, reference_type, reference, substation, rule, event_at, memo) ORDER BY u.key
        ON CONFLICT (idempotency_key) DO NOTHING
        RETURNING t.id, t.public_id, t.idempotency_key)
    SELECT array_agg(a.id ORDER BY k.n), array_agg(a.public_id ORDER BY k.n), count(a.id) INTO ids, names, fresh
    FROM unnest(p_keys) WITH ORDINALITY AS k(key, n) LEFT JOIN added a ON a.idempotency_key = k.key;
    IF fresh < size THEN
        SELECT min(t.idempotency_key) INTO clash
        FROM unnest(p_keys) WITH ORDINALITY AS k(key, n) JOIN public.ledger_transfer t ON t.idempotency_key = k.key
        WHERE ids[k.n] IS NULL AND t.digest <> digests[k.n];
        IF clash IS NOT NULL THEN
            RAISE EXCEPTION 'The key % was used for another transfer.', clash USING ERRCODE = 'KG107', DETAIL = clash;
        END IF;
    END IF;
    INSERT INTO public.ledger_entry (transfer_id, leg, account_id, amount_minor, currency, xid)
    SELECT t.id, leg, coalesce(accounts[p_legs[t.last - t.size + leg]], public.ledger_no_account(NULL)),
           p_amounts[t.last - t.size + leg], p_currency, stamp
    FROM (SELECT u.id, u.size, sum(u.size) OVER (ORDER BY u.n)::integer AS last
          FROM unnest(ids, p_sizes) WITH ORDINALITY AS u(id, size, n)) t
    CROSS JOIN LATERAL generate_series(1, t.size) leg
    WHERE t.id IS NOT NULL;
    IF fresh = size THEN
        RETURN QUERY SELECT u.n::integer, u.id, u.name, true FROM unnest(ids, names) WITH ORDINALITY AS u(id, name, n) ORDER BY u.n;
    ELSE
        RETURN QUERY SELECT k.n::integer, t.id, t.public_id::text, ids[k.n] IS NOT NULL
            FROM unnest(p_keys) WITH ORDINALITY AS k(key, n)
            JOIN public.ledger_transfer t ON t.idempotency_key = k.key ORDER BY k.n;
    END IF;
END
$$;
