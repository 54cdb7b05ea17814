-- Posting. Everything that writes a transfer is here, runs as kameng_ledger, and locks no account for a sale.

-- The number of the present transaction in the ledger's count. Refused (KG109) on a server whose ids run behind what
-- was rolled up or sealed already, as after a dump and restore: such rows would never be seen again.
CREATE OR REPLACE FUNCTION public.ledger_xid() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    present bigint;
    highest bigint;
BEGIN
    SELECT pg_current_xact_id()::text::bigint + c.xid_offset, c.highest_cut INTO STRICT present, highest
    FROM public.ledger_control c;
    IF present < highest THEN
        RAISE EXCEPTION 'The ledger is ahead of this server: run `kameng ledger rebase` first.' USING ERRCODE = 'KG109';
    END IF;
    RETURN present;
END
$$;

-- Open an account, or find it open with the same attributes. KG110 when it has others.
CREATE OR REPLACE FUNCTION public.ledger_open_account(
    p_code text, p_class text, p_currency text, p_floor bigint, p_substation bigint, p_at timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kept public.ledger_account;
BEGIN
    SELECT a.* INTO kept FROM public.ledger_account a WHERE a.code = p_code;
    IF NOT FOUND THEN
        IF p_code !~ '^[a-z_]+(:[A-Za-z0-9_-]+)+$' OR p_currency !~ '^[A-Z]{3}$' THEN
            RAISE EXCEPTION 'Not an account: % in %.', p_code, p_currency USING ERRCODE = 'KG103', DETAIL = p_code;
        END IF;
        INSERT INTO public.ledger_account (code, class, currency, floor_minor, state, substation_id, created_at)
        VALUES (p_code, p_class, p_currency, p_floor, 'OPEN', p_substation, p_at)
        ON CONFLICT (code) DO NOTHING RETURNING * INTO kept;
        IF kept.id IS NULL THEN  -- Another session opened it in between.
            SELECT a.* INTO STRICT kept FROM public.ledger_account a WHERE a.code = p_code;
        END IF;
    END IF;
    IF (kept.class, kept.currency, kept.state) IS DISTINCT FROM (p_class, p_currency, 'OPEN')
        OR kept.floor_minor IS DISTINCT FROM p_floor OR kept.substation_id IS DISTINCT FROM p_substation THEN
        RAISE EXCEPTION 'Account % exists, and is another.', p_code USING ERRCODE = 'KG110', DETAIL = p_code;
    END IF;
    RETURN kept.id;
END
$$;

-- Close an empty account for good.
CREATE OR REPLACE FUNCTION public.ledger_close_account(p_code text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
DECLARE
    closing public.ledger_account;
BEGIN
    -- Waits for every open posting and lets none begin: a posting holds ROW EXCLUSIVE on the transfers before it reads
    -- the accounts, so none can have read this one as open and post to it afterwards.
    LOCK TABLE public.ledger_transfer IN SHARE MODE;
    SELECT a.* INTO closing FROM public.ledger_account a WHERE a.code = p_code;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'No account %.', p_code USING ERRCODE = 'KG103', DETAIL = p_code;
    END IF;
    IF (SELECT coalesce(sum(e.amount_minor), 0) FROM public.ledger_entry e WHERE e.account_id = closing.id) <> 0 THEN
        RAISE EXCEPTION 'Account % is not empty.', p_code USING ERRCODE = 'KG113', DETAIL = p_code;
    END IF;
    UPDATE public.ledger_account SET state = 'CLOSED' WHERE id = closing.id AND state = 'OPEN';
END
$$;

-- An account's balance, debit positive: what was rolled up, and the tail of what was not.
CREATE OR REPLACE FUNCTION public.ledger_balance_minor(p_account bigint) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT b.balance_minor FROM public.ledger_balance b WHERE b.account_id = p_account), 0)
        + coalesce((SELECT sum(e.amount_minor) FROM public.ledger_entry e
                    WHERE e.account_id = p_account AND e.xid >= c.rolled_to), 0)::bigint
    FROM public.ledger_control c
$$;

-- Lock accounts against every other taker until the transaction ends, and answer their balances, debit positive.
CREATE OR REPLACE FUNCTION public.ledger_lock(p_codes text[]) RETURNS TABLE (code text, balance_minor bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'Guarded accounts want READ COMMITTED.' USING ERRCODE = 'KG112';
    END IF;
    -- In the order of their ids, so that two takers never wait for each other crosswise.
    PERFORM 1 FROM public.ledger_account a WHERE a.code = ANY (p_codes) ORDER BY a.id FOR NO KEY UPDATE;
    -- The next statement has a new snapshot: it sees what the one we waited for has posted.
    RETURN QUERY SELECT a.code::text, public.ledger_balance_minor(a.id)
        FROM public.ledger_account a WHERE a.code = ANY (p_codes);
END
$$;

-- Lock one transfer against everybody else who would reverse, resolve or refund it: what is left of it can be counted.
CREATE OR REPLACE FUNCTION public.ledger_lock_transfer(p_transfer bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1 FROM public.ledger_transfer t WHERE t.id = p_transfer FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'There is no transfer %.', p_transfer USING ERRCODE = 'KG111', DETAIL = 'missing';
    END IF;
END
$$;

-- trf_ and 24 hexadecimal digits: the millisecond, so that ids grow with time for their index's sake, and 48 bits of the
-- payload's digest, which nobody knows who does not know the transfer.
CREATE OR REPLACE FUNCTION public.ledger_public_id(p_digest bytea) RETURNS text
LANGUAGE sql VOLATILE AS $$
    SELECT 'trf_' || upper(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
        || encode(substring(p_digest FOR 6), 'hex'))
$$;

-- Post one transfer, or answer the one that was posted under this key. Amounts: minor units, debit positive, none zero.
-- `p_currencies`: one for all legs, or one for each. `p_event_at` is the fact's own time and belongs to the payload, as
-- everything else here does: the same key with anything else is KG107.
CREATE OR REPLACE FUNCTION public.ledger_post(
    p_key text, p_kind text, p_reference_type text, p_reference text, p_substation bigint, p_event_at timestamptz,
    p_codes text[], p_amounts bigint[], p_currencies text[],
    p_rule integer DEFAULT NULL, p_memo jsonb DEFAULT '{}', p_relation text DEFAULT NULL, p_related bigint DEFAULT NULL,
    OUT transfer_id bigint, OUT public_id text, OUT created boolean)
-- A generic plan: planned anew for each array of codes, a posting costs twice as much.
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    stamp bigint;
    payload bytea;
    kept bytea;
BEGIN
    IF cardinality(p_amounts) IS DISTINCT FROM cardinality(p_codes) OR cardinality(p_currencies) NOT IN (1, cardinality(p_codes))
        OR coalesce(p_key, '') = '' THEN
        RAISE EXCEPTION 'A transfer has a key, and an account and an amount for each leg.' USING ERRCODE = 'KG102';
    END IF;
    payload := sha256(convert_to(ROW(p_key, p_kind, p_reference_type, p_reference, p_substation, extract(epoch FROM p_event_at),
        p_codes, p_amounts, p_currencies, p_rule, p_memo, p_relation, p_related)::text, 'UTF8'));
    IF p_relation IS NOT NULL THEN
        PERFORM public.ledger_check_relation(p_key, p_relation, p_related, p_codes, p_amounts);
    END IF;
    -- What ledger_xid() does, without a statement of its own.
    INSERT INTO public.ledger_transfer AS t (public_id, idempotency_key, digest, kind, reference_type, reference,
        substation_id, relation, related_id, split_rule_version, event_at, recorded_at, xid, memo)
    SELECT public.ledger_public_id(payload), p_key, payload, p_kind, p_reference_type, p_reference, p_substation,
        p_relation, p_related, p_rule, p_event_at, clock_timestamp(), pg_current_xact_id()::text::bigint + c.xid_offset,
        p_memo
    FROM public.ledger_control c WHERE pg_current_xact_id()::text::bigint + c.xid_offset >= c.highest_cut
    ON CONFLICT (idempotency_key) DO NOTHING
    RETURNING t.id, t.public_id, t.xid INTO transfer_id, public_id, stamp;
    IF transfer_id IS NULL THEN
        PERFORM public.ledger_xid();  -- Either this server is behind (KG109), or the key was used.
        SELECT t.id, t.public_id, t.digest INTO STRICT transfer_id, public_id, kept
        FROM public.ledger_transfer t WHERE t.idempotency_key = p_key;
        IF kept <> payload THEN
            RAISE EXCEPTION 'The key % was used for another transfer.', p_key USING ERRCODE = 'KG107', DETAIL = p_key;
        END IF;
        created := false;
        RETURN;
    END IF;
    created := true;
    INSERT INTO public.ledger_entry (transfer_id, leg, account_id, amount_minor, currency, xid)
    SELECT ledger_post.transfer_id, l.leg, coalesce(a.id, public.ledger_no_account(l.code)), l.amount,
           CASE WHEN cardinality(p_currencies) = 1 THEN p_currencies[1] ELSE p_currencies[l.leg] END, stamp
    FROM unnest(p_codes, p_amounts) WITH ORDINALITY AS l(code, amount, leg)
    LEFT JOIN public.ledger_account a ON a.code = l.code;  -- Trigger check_legs holds the rules.
END
$$;

CREATE OR REPLACE FUNCTION public.ledger_no_account(p_code text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'There is no account %.', p_code USING ERRCODE = 'KG103', DETAIL = coalesce(p_code, '');
END
$$;

-- Whether a transfer may reverse, resolve or refund an earlier one; keeps others from doing so at the same time.
CREATE OR REPLACE FUNCTION public.ledger_check_relation(
    p_key text, p_relation text, p_related bigint, p_codes text[], p_amounts bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    earlier public.ledger_transfer;
    excess text;
BEGIN
    -- The one lock of a transfer's row: whoever reverses, resolves or refunds the same one waits here.
    SELECT t.* INTO earlier FROM public.ledger_transfer t WHERE t.id = p_related FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'There is no transfer %.', p_related USING ERRCODE = 'KG111', DETAIL = 'missing';
    END IF;
    IF EXISTS (SELECT FROM public.ledger_transfer t WHERE t.idempotency_key = p_key) THEN
        RETURN;  -- A repetition: the digest decides.
    END IF;
    IF EXISTS (SELECT FROM public.ledger_transfer t WHERE t.related_id = p_related AND t.relation = 'REVERSES') THEN
        RAISE EXCEPTION 'Transfer % has been reversed.', earlier.public_id USING ERRCODE = 'KG111', DETAIL = 'reversed';
    END IF;
    IF p_relation = 'RESOLVES' THEN
        IF earlier.kind NOT LIKE 'hold%' OR earlier.kind IN ('hold.post', 'hold.void') THEN
            RAISE EXCEPTION 'Transfer % is no hold.', earlier.public_id USING ERRCODE = 'KG111', DETAIL = 'no_hold';
        END IF;
        IF EXISTS (SELECT FROM public.ledger_transfer t WHERE t.related_id = p_related AND t.relation = 'RESOLVES') THEN
            RAISE EXCEPTION 'Hold % is resolved.', earlier.public_id USING ERRCODE = 'KG111', DETAIL = 'resolved';
        END IF;
    ELSIF p_relation = 'REVERSES' THEN
        IF EXISTS (SELECT FROM public.ledger_transfer t WHERE t.related_id = p_related) THEN
            RAISE EXCEPTION 'Transfer % has been built upon.', earlier.public_id
                USING ERRCODE = 'KG111', DETAIL = 'built_upon';
        END IF;
        IF EXISTS ((SELECT a.code, -e.amount_minor FROM public.ledger_entry e JOIN public.ledger_account a ON a.id = e.account_id
                    WHERE e.transfer_id = p_related EXCEPT ALL SELECT * FROM unnest(p_codes, p_amounts))
                   UNION ALL
                   (SELECT * FROM unnest(p_codes, p_amounts) EXCEPT ALL
                    SELECT a.code, -e.amount_minor FROM public.ledger_entry e JOIN public.ledger_account a ON a.id = e.account_id
                    WHERE e.transfer_id = p_related)) THEN
            RAISE EXCEPTION 'A reversal has the same legs with the other sign.' USING ERRCODE = 'KG111', DETAIL = 'other_legs';
        END IF;
    ELSE
        -- No account may give back more than it got of the sale. What goes beyond is a debt of its own account.
        SELECT min(x.code) INTO excess FROM (
            SELECT a.code, sum(e.amount_minor) FILTER (WHERE e.transfer_id = p_related) AS got, sum(e.amount_minor) AS got_and_given
            FROM public.ledger_transfer t
            JOIN public.ledger_entry e ON e.transfer_id = t.id
            JOIN public.ledger_account a ON a.id = e.account_id
            WHERE t.id = p_related OR (t.related_id = p_related AND t.relation = 'REFUNDS')
            GROUP BY a.code) x
        JOIN (SELECT u.code, sum(u.amount) AS delta FROM unnest(p_codes, p_amounts) AS u(code, amount) GROUP BY u.code) n
            ON n.code = x.code
        WHERE x.got IS NOT NULL AND sign(x.got) * (x.got_and_given + n.delta) < 0;
        IF excess IS NOT NULL THEN
            RAISE EXCEPTION 'Account % has not got that much of %.', excess, earlier.public_id
                USING ERRCODE = 'KG111', DETAIL = 'too_much';
        END IF;
    END IF;
END
$$;

-- Undo a transfer whole by a new one.
CREATE OR REPLACE FUNCTION public.ledger_reverse(
    p_key text, p_transfer bigint, p_kind text, p_event_at timestamptz, p_memo jsonb DEFAULT '{}',
    p_relation text DEFAULT 'REVERSES', OUT transfer_id bigint, OUT public_id text, OUT created boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    earlier public.ledger_transfer;
    codes text[];
    amounts bigint[];
    currencies text[];
BEGIN
    SELECT t.* INTO earlier FROM public.ledger_transfer t WHERE t.id = p_transfer;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'There is no transfer %.', p_transfer USING ERRCODE = 'KG111', DETAIL = 'missing';
    END IF;
    SELECT array_agg(a.code::text ORDER BY e.leg), array_agg(-e.amount_minor ORDER BY e.leg),
           array_agg(e.currency::text ORDER BY e.leg)
    INTO codes, amounts, currencies
    FROM public.ledger_entry e JOIN public.ledger_account a ON a.id = e.account_id WHERE e.transfer_id = p_transfer;
    SELECT r.transfer_id, r.public_id, r.created INTO transfer_id, public_id, created
    FROM public.ledger_post(p_key, p_kind, earlier.reference_type, earlier.reference, earlier.substation_id, p_event_at,
        codes, amounts, currencies, earlier.split_rule_version, p_memo, p_relation, p_transfer) r;
END
$$;
