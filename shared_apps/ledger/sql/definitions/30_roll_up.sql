-- The followers: each reads what stands before the horizon, and nothing by id or by time. A transaction that took its id
-- early and commits late holds the horizon back until it is done; a cut by id would lose its rows for good.

-- Every transaction with a smaller number has ended: what it wrote is visible, or rolled back.
CREATE OR REPLACE FUNCTION public.ledger_horizon() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint + c.xid_offset FROM public.ledger_control c
$$;

-- Bring balances and days up to the horizon. Safe to repeat and to run twice at once: the second waits on the control
-- row's lock, and then finds nothing left to do. Answers how many entries were added.
CREATE OR REPLACE FUNCTION public.ledger_roll_up(p_at timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    control public.ledger_control;
    cut bigint;
    taken bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'The roll-up wants READ COMMITTED.' USING ERRCODE = 'KG112';
    END IF;
    PERFORM public.ledger_xid();
    SELECT c.* INTO control FROM public.ledger_control c WHERE c.id = 1 FOR UPDATE;
    -- The horizon first, in a statement of its own: the snapshots of the later statements then hold every row below it.
    cut := public.ledger_horizon();
    IF cut <= control.rolled_to THEN
        RETURN 0;
    END IF;
    taken := public.ledger_roll_days(control.rolled_to, cut, control.zone);
    UPDATE public.ledger_control SET rolled_to = cut, rolled_at = p_at, highest_cut = greatest(highest_cut, cut) WHERE id = 1;
    RETURN taken;
END
$$;

-- Add the entries of a range of transactions to their accounts and days. A late event moves its own day and all later
-- ones. Answers how many entries there were.
CREATE OR REPLACE FUNCTION public.ledger_roll_days(p_from bigint, p_cut bigint, p_zone text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    entries bigint;
BEGIN
    WITH moved AS MATERIALIZED (
        SELECT e.account_id, (t.event_at AT TIME ZONE p_zone)::date AS day, count(*) AS entries,
               coalesce(sum(e.amount_minor) FILTER (WHERE e.amount_minor > 0), 0) AS debits,
               coalesce(-sum(e.amount_minor) FILTER (WHERE e.amount_minor < 0), 0) AS credits
        FROM public.ledger_account a
        -- OFFSET 0: account by account through ledger_entry_tail, whatever the planner thinks of the range.
        CROSS JOIN LATERAL (SELECT x.* FROM public.ledger_entry x
                            WHERE x.account_id = a.id AND x.xid >= p_from AND x.xid < p_cut OFFSET 0) e
        JOIN public.ledger_transfer t ON t.id = e.transfer_id
        GROUP BY 1, 2),
    rolled AS (
        INSERT INTO public.ledger_balance AS b (account_id, watermark, balance_minor)
        SELECT m.account_id, p_cut, sum(m.debits - m.credits) FROM moved m GROUP BY m.account_id
        ON CONFLICT (account_id) DO UPDATE
            SET balance_minor = b.balance_minor + excluded.balance_minor, watermark = excluded.watermark),
    -- New days begin with what the last day before them closed with, before any of `moved` is added.
    opened AS (
        INSERT INTO public.ledger_dailybalance AS d
            (account_id, day, opening_minor, debits_minor, credits_minor, closing_minor)
        SELECT m.account_id, m.day, o.opening + o.earlier, m.debits, m.credits, o.opening + o.earlier + m.debits - m.credits
        FROM moved m CROSS JOIN LATERAL (
            SELECT coalesce((SELECT p.closing_minor FROM public.ledger_dailybalance p
                             WHERE p.account_id = m.account_id AND p.day < m.day ORDER BY p.day DESC LIMIT 1), 0) AS opening,
                   coalesce((SELECT sum(x.debits - x.credits) FROM moved x
                             WHERE x.account_id = m.account_id AND x.day < m.day), 0) AS earlier) o
        WHERE NOT EXISTS (SELECT FROM public.ledger_dailybalance p WHERE p.account_id = m.account_id AND p.day = m.day)),
    -- Days that were there: their own movement, and everything that moved on days before them.
    shifted AS (
        UPDATE public.ledger_dailybalance d
        SET opening_minor = d.opening_minor + s.earlier,
            debits_minor = d.debits_minor + s.debits,
            credits_minor = d.credits_minor + s.credits,
            closing_minor = d.closing_minor + s.earlier + s.debits - s.credits
        FROM (SELECT k.account_id, k.day,
                     coalesce(sum(m.debits - m.credits) FILTER (WHERE m.day < k.day), 0) AS earlier,
                     coalesce(sum(m.debits) FILTER (WHERE m.day = k.day), 0) AS debits,
                     coalesce(sum(m.credits) FILTER (WHERE m.day = k.day), 0) AS credits
              FROM public.ledger_dailybalance k
              JOIN moved m ON m.account_id = k.account_id AND m.day <= k.day
              GROUP BY k.account_id, k.day) s
        WHERE d.account_id = s.account_id AND d.day = s.day)
    SELECT coalesce(sum(m.entries), 0) INTO entries FROM moved m;
    RETURN entries;
END
$$;

-- After a dump and restore onto a server whose transaction ids run behind: continue the ledger's own count, so that
-- everything stored stands before everything to come. KG115 where there is nothing to rebase.
CREATE OR REPLACE FUNCTION public.ledger_rebase() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    control public.ledger_control;
    present bigint;
    last bigint;
BEGIN
    LOCK TABLE public.ledger_transfer IN SHARE MODE;  -- No posting is under way, and none begins.
    SELECT c.* INTO control FROM public.ledger_control c WHERE c.id = 1 FOR UPDATE;
    present := pg_current_xact_id()::text::bigint + control.xid_offset;
    SELECT greatest(control.highest_cut, coalesce(max(t.xid), 0)) INTO last FROM public.ledger_transfer t;
    IF present > last THEN
        RAISE EXCEPTION 'This server is not behind the ledger.' USING ERRCODE = 'KG115';
    END IF;
    UPDATE public.ledger_control SET xid_offset = xid_offset + (last + 1 - present) WHERE id = 1;
    RETURN last + 1 - present;
END
$$;
