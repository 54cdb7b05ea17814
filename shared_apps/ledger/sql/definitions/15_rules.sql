-- The rules of a transfer, on whatever adds legs, whoever inserts them: they come together and are numbered 1, 2, … (so
-- that with the primary key none can be added later), two at least and none of zero, to open accounts of their own
-- currency, sum to zero per currency, and leave no guarded account that they take from below its floor.

CREATE OR REPLACE FUNCTION public.ledger_check_legs() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    odd boolean;
    takes boolean;
    many boolean;
    fault text;
BEGIN
    -- One look lets an ordinary sale, or a batch of them, pass; what follows is for what is rare. "Odd" is what has to be
    -- looked at again; it may be sound.
    SELECT min(e.transfer_id) <> max(e.transfer_id) INTO many FROM added e;
    IF many THEN
        SELECT bool_or(x.odd), bool_or(x.takes) INTO odd, takes
        FROM (SELECT count(*) < 2 OR min(e.leg) <> 1 OR max(e.leg) <> count(*) OR sum(e.amount_minor) <> 0
                     OR min(e.currency) <> max(e.currency)
                     OR bool_or(e.amount_minor = 0 OR a.state IS DISTINCT FROM 'OPEN' OR a.currency <> e.currency) AS odd,
                     bool_or(a.floor_minor IS NOT NULL AND (e.amount_minor < 0) = (a.class IN ('ASSET', 'EXPENSE'))) AS takes
              FROM added e LEFT JOIN public.ledger_account a ON a.id = e.account_id
              GROUP BY e.transfer_id) x;
    ELSE
        SELECT count(*) < 2 OR min(e.leg) <> 1 OR max(e.leg) <> count(*) OR sum(e.amount_minor) <> 0
                   OR min(e.currency) <> max(e.currency)
                   OR bool_or(e.amount_minor = 0 OR a.state IS DISTINCT FROM 'OPEN' OR a.currency <> e.currency),
               bool_or(a.floor_minor IS NOT NULL AND (e.amount_minor < 0) = (a.class IN ('ASSET', 'EXPENSE')))
        INTO odd, takes
        FROM added e LEFT JOIN public.ledger_account a ON a.id = e.account_id;
    END IF;
    IF odd THEN
        PERFORM FROM added e GROUP BY e.transfer_id
        HAVING count(*) < 2 OR min(e.leg) <> 1 OR max(e.leg) <> count(*) OR bool_or(e.amount_minor = 0);
        IF FOUND THEN
            RAISE EXCEPTION 'A transfer has two legs or more, all at once, and none of zero.' USING ERRCODE = 'KG102';
        END IF;
        SELECT e.account_id::text INTO fault FROM added e
        WHERE NOT EXISTS (SELECT FROM public.ledger_account a WHERE a.id = e.account_id);
        IF FOUND THEN
            RAISE EXCEPTION 'There is no account %.', fault USING ERRCODE = 'KG103', DETAIL = fault;
        END IF;
        SELECT a.code INTO fault FROM added e JOIN public.ledger_account a ON a.id = e.account_id WHERE a.state <> 'OPEN';
        IF FOUND THEN
            RAISE EXCEPTION 'Account % is closed.', fault USING ERRCODE = 'KG104', DETAIL = fault;
        END IF;
        SELECT a.code INTO fault FROM added e JOIN public.ledger_account a ON a.id = e.account_id
        WHERE a.currency <> e.currency;
        IF FOUND THEN
            RAISE EXCEPTION 'Account % has another currency.', fault USING ERRCODE = 'KG105', DETAIL = fault;
        END IF;
        SELECT sum(e.amount_minor) || ' ' || e.currency INTO fault FROM added e
        GROUP BY e.transfer_id, e.currency HAVING sum(e.amount_minor) <> 0;
        IF FOUND THEN
            RAISE EXCEPTION 'The legs sum to %, not to zero.', fault USING ERRCODE = 'KG101', DETAIL = fault;
        END IF;
    END IF;
    IF takes THEN
        PERFORM public.ledger_guard((
            SELECT array_agg(DISTINCT a.id) FROM added e JOIN public.ledger_account a ON a.id = e.account_id
            WHERE a.floor_minor IS NOT NULL AND (e.amount_minor < 0) = (a.class IN ('ASSET', 'EXPENSE'))));
    END IF;
    RETURN NULL;
END
$$;

-- Lock the guarded accounts that legs were taken from, and refuse (KG106) when one has fallen below its floor.
CREATE OR REPLACE FUNCTION public.ledger_guard(p_accounts bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    short record;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'Guarded accounts want READ COMMITTED.' USING ERRCODE = 'KG112';
    END IF;
    -- In the order of their ids, so that two takers never wait for each other crosswise.
    PERFORM 1 FROM public.ledger_account a WHERE a.id = ANY (p_accounts) ORDER BY a.id FOR NO KEY UPDATE;  -- The guard.
    -- A statement of its own: its snapshot is taken after the lock was won, and holds what the one before us posted.
    SELECT g.code, g.own - g.floor_minor AS under INTO short
    FROM (SELECT a.code, a.floor_minor, public.ledger_balance_minor(a.id)
                 * (CASE WHEN a.class IN ('ASSET', 'EXPENSE') THEN 1 ELSE -1 END) AS own
          FROM public.ledger_account a WHERE a.id = ANY (p_accounts)) g
    WHERE g.own < g.floor_minor ORDER BY g.code LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'Account % would be % short.', short.code, -short.under
            USING ERRCODE = 'KG106', DETAIL = short.code, HINT = (-short.under)::text;
    END IF;
END
$$;

CREATE OR REPLACE TRIGGER check_legs AFTER INSERT ON public.ledger_entry REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_check_legs();
