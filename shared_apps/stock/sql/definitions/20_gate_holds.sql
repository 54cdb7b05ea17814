-- Holding stock for an order, giving it back, and showing what was delivered.

-- Claim p_quantity codes of one SKU for one hold, or raise KG010.
-- SKIP LOCKED lets buyers pass each other; ordering by `position`, which only the partial index of available codes
-- has, keeps the claim from walking over sold ones. Nobody is told "sold out" while others merely have codes locked
-- and may still give them back: then the claim waits until one of them has made up their mind, and tries again.
-- Each try is a block that is left by an exception when it is short, so that no lock outlives it: neither a part of what
-- was wanted, nor the code of a buyer who was faster (a lock that was waited for, or met a changed row, stays otherwise,
-- and that buyer's delivery would wait for us: measured as deadlocks at 64 buyers).
CREATE OR REPLACE FUNCTION public.stock_claim_codes(p_hold bigint, p_sku bigint, p_quantity integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    claimed integer;
    seen bigint[];
    unlocked bigint[];
    locked bigint;
BEGIN
    LOOP
        BEGIN
            UPDATE public.stock_code c SET state = 'HELD', hold_id = p_hold
            FROM (SELECT n.id FROM public.stock_code n WHERE n.sku_id = p_sku AND n.state = 'AVAILABLE'
                  ORDER BY n.position LIMIT p_quantity FOR UPDATE SKIP LOCKED) next
            WHERE c.id = next.id;
            GET DIAGNOSTICS claimed = ROW_COUNT;
            IF claimed = p_quantity THEN
                RETURN;
            END IF;
            RAISE EXCEPTION 'short' USING ERRCODE = 'KG019';
        EXCEPTION WHEN SQLSTATE 'KG019' THEN
            NULL;
        END;
        seen := ARRAY(SELECT n.id FROM public.stock_code n WHERE n.sku_id = p_sku AND n.state = 'AVAILABLE'
                      ORDER BY n.position LIMIT p_quantity);
        IF cardinality(seen) < p_quantity THEN
            RAISE EXCEPTION 'sold out' USING ERRCODE = 'KG010', DETAIL = p_sku::text;
        END IF;
        -- Which of them is another buyer's at this moment? KEY SHARE conflicts with a claim and with nothing else: not
        -- with a delivery, and not with others who wait like us.
        BEGIN
            unlocked := ARRAY(SELECT n.id FROM public.stock_code n WHERE n.id = ANY (seen) FOR KEY SHARE SKIP LOCKED);
            RAISE EXCEPTION 'release' USING ERRCODE = 'KG019';
        EXCEPTION WHEN SQLSTATE 'KG019' THEN
            NULL;
        END;
        SELECT s.id INTO locked FROM unnest(seen) WITH ORDINALITY AS s(id, place)
        WHERE s.id <> ALL (unlocked) ORDER BY s.place LIMIT 1;
        CONTINUE WHEN NOT FOUND;  -- They are free by now.
        BEGIN
            PERFORM 1 FROM public.stock_code n WHERE n.id = locked FOR KEY SHARE;
            RAISE EXCEPTION 'release' USING ERRCODE = 'KG019';
        EXCEPTION WHEN SQLSTATE 'KG019' THEN
            NULL;
        END;
    END LOOP;
END
$$;

-- Claim what one hold wants by its policy.
CREATE OR REPLACE FUNCTION public.stock_fill_hold(p_hold bigint, p_sku bigint, p_policy text, p_quantity integer)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_policy = 'CODES' THEN
        PERFORM public.stock_claim_codes(p_hold, p_sku, p_quantity);
    ELSIF p_policy = 'COUNTED' THEN
        -- Guarded update: the row's own lock makes two takers wait for each other.
        UPDATE public.stock_stockcount SET available = available - p_quantity, updated_at = now()
        WHERE sku_id = p_sku AND available >= p_quantity;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'sold out' USING ERRCODE = 'KG010', DETAIL = p_sku::text;
        END IF;
    ELSE
        RETURN;
    END IF;
    INSERT INTO public.stock_stockmove (sku_id) VALUES (p_sku);
END
$$;

CREATE OR REPLACE FUNCTION public.money_exponent(p_currency text) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$ SELECT CASE p_currency WHEN 'JPY' THEN 0 ELSE 2 END $$;

-- Place an order: check each line against the library as it is now (active, floor, ceiling, supply price: nothing is sold
-- below what it costs), hold its stock all or none, and note the order for the main station. p_lines: [{"sku_id", "quantity", "unit",
-- "total_minor", "sku_code", "name"}]; unit is the retail price of one. Lines are taken in the order of their SKU,
-- so that two orders never wait for each other crosswise.
CREATE OR REPLACE FUNCTION gate.place_order(
    p_number text, p_lines jsonb, p_total bigint, p_currency text, p_contact_hint text,
    p_placed_at timestamptz, p_expires_at timestamptz)
RETURNS TABLE (sku_id bigint, policy text, supply_unit numeric, cost_minor bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    caller record;
    line record;
    new_hold bigint;
    lines_total numeric := 0;
    line_total numeric;
    noted jsonb := '[]';  -- The lines in the library's own words: the console shows them, and a shop could write anything.
BEGIN
    -- A receipt of nobody's has an order number, too: an empty one.
    IF coalesce(p_number !~ '^[A-Za-z0-9_-]{1,40}$', true) OR jsonb_typeof(p_lines) IS DISTINCT FROM 'array'
            OR jsonb_array_length(p_lines) = 0 OR jsonb_path_exists(p_lines, '$[*] ? (@.type() != "object")') THEN
        RAISE EXCEPTION 'An order has a number and lines.' USING ERRCODE = 'KG015';
    END IF;
    SELECT s.id, s.state, s.standing, pl.supply_level INTO caller
    FROM public.tenants_substation s JOIN public.tenants_plan pl ON pl.id = s.plan_id
    WHERE s.schema_name = current_setting('role');
    IF caller.id IS NULL THEN
        RAISE EXCEPTION 'Only a substation may call this.' USING ERRCODE = 'KG001';
    END IF;
    -- tenants.states.sells holds the same rule.
    IF caller.state NOT IN ('TRIAL', 'ACTIVE', 'PAST_DUE') OR caller.standing = 'SHUT' THEN
        RAISE EXCEPTION 'The substation is not open.' USING ERRCODE = 'KG002';
    END IF;
    FOR line IN
        SELECT l.sku_id, l.quantity, l.unit, k.stock_policy, k.active AND pr.active AS active, k.floor, k.ceiling,
               k.currency, sp.unit AS supply, k.code,
               CASE WHEN k.name_zh IN ('', pr.name_zh) THEN pr.name_zh ELSE pr.name_zh || ' · ' || k.name_zh END AS name
        FROM jsonb_to_recordset(p_lines) AS l(sku_id bigint, quantity integer, unit numeric)
        LEFT JOIN public.library_sku k ON k.id = l.sku_id
        LEFT JOIN public.library_product pr ON pr.id = k.product_id
        -- By the database's clock: `p_placed_at` is the shop's word, and would let it choose its terms.
        LEFT JOIN public.supply_terms(caller.id, caller.supply_level, now()) sp ON sp.sku_id = k.id
        ORDER BY l.sku_id
    LOOP
        IF line.active IS NOT TRUE OR line.supply IS NULL OR line.currency <> p_currency THEN
            RAISE EXCEPTION 'not for sale' USING ERRCODE = 'KG011', DETAIL = coalesce(line.sku_id, 0)::text;
        END IF;
        IF line.unit IS NULL OR line.unit < coalesce(line.floor, 0) OR line.unit > coalesce(line.ceiling, line.unit)
        THEN
            RAISE EXCEPTION 'out of bounds' USING ERRCODE = 'KG013', DETAIL = coalesce(line.sku_id, 0)::text;
        END IF;
        line_total := round(line.unit * line.quantity * 10::numeric ^ public.money_exponent(p_currency));
        lines_total := lines_total + line_total;
        sku_id := line.sku_id;
        policy := line.stock_policy;
        supply_unit := line.supply;
        -- Rounded up: the supplier is never short of a fraction (kameng.lib.money.line_cost_minor).
        cost_minor := ceil(line.supply * line.quantity * 10::numeric ^ public.money_exponent(p_currency));
        IF line_total < cost_minor AND line.quantity > 0 THEN  -- Of less than one, the hold's own check says so.
            RAISE EXCEPTION 'below its cost' USING ERRCODE = 'KG013', DETAIL = line.sku_id::text;
        END IF;
        INSERT INTO public.stock_hold (substation_id, order_number, sku_id, quantity, state, cost_minor, supply_unit,
                                       policy, expires_at, created_at, updated_at)
        VALUES (caller.id, p_number, line.sku_id, line.quantity, 'HELD', cost_minor, line.supply,
                line.stock_policy, p_expires_at, clock_timestamp(), p_placed_at)
        RETURNING id INTO new_hold;
        PERFORM public.stock_fill_hold(new_hold, line.sku_id, line.stock_policy, line.quantity);
        noted := noted || jsonb_build_object('sku_id', line.sku_id, 'sku_code', line.code, 'name', line.name,
                                             'quantity', line.quantity, 'total_minor', line_total::bigint);
        RETURN NEXT;
    END LOOP;
    -- The bounds hold for what is paid, not only for what is said of one unit.
    IF p_total IS DISTINCT FROM lines_total::bigint THEN
        RAISE EXCEPTION 'The total is not that of the lines.' USING ERRCODE = 'KG015';
    END IF;
    INSERT INTO public.receipts_networkorder (substation_id, order_number, state, total_minor, currency, lines,
                                              contact_hint, placed_at, updated_at)
    VALUES (caller.id, p_number, 'PENDING_PAYMENT', p_total, p_currency, noted, p_contact_hint, p_placed_at,
            p_placed_at);
END
$$;
GRANT EXECUTE ON FUNCTION gate.place_order(text, jsonb, bigint, text, text, timestamptz, timestamptz) TO kameng_tenant;

-- Give back what an unpaid order holds. Answers how many holds it released; safe to repeat. KG016: an order that ends
-- unpaid ends expired or cancelled.
CREATE OR REPLACE FUNCTION gate.release_order(p_number text, p_state text, p_at timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    caller bigint := gate.caller_id();
    released record;
    done integer := 0;
BEGIN
    IF coalesce(p_state NOT IN ('EXPIRED', 'CANCELLED'), true) THEN
        RAISE EXCEPTION 'not a state of an order that ends unpaid' USING ERRCODE = 'KG016';
    END IF;
    -- In the order in which place_order takes them: counts are rows that both lock.
    FOR released IN
        SELECT h.id, h.sku_id, h.quantity, h.policy FROM public.stock_hold h
        WHERE h.substation_id = caller AND h.order_number = p_number AND h.state = 'HELD'
        ORDER BY h.sku_id FOR UPDATE
    LOOP
        UPDATE public.stock_hold SET state = 'RELEASED', updated_at = p_at WHERE id = released.id;
        IF released.policy = 'CODES' THEN
            UPDATE public.stock_code SET state = 'AVAILABLE', hold_id = NULL
            WHERE hold_id = released.id AND state = 'HELD';
        ELSIF released.policy = 'COUNTED' THEN
            UPDATE public.stock_stockcount SET available = available + released.quantity, updated_at = p_at
            WHERE sku_id = released.sku_id;
        END IF;
        INSERT INTO public.stock_stockmove (sku_id) VALUES (released.sku_id);
        done := done + 1;
    END LOOP;
    UPDATE public.receipts_networkorder SET state = p_state, updated_at = p_at
    WHERE substation_id = caller AND order_number = p_number AND state = 'PENDING_PAYMENT';
    RETURN done;
END
$$;
GRANT EXECUTE ON FUNCTION gate.release_order(text, text, timestamptz) TO kameng_tenant;

-- Hold again, all or none, what an expired or cancelled order had held: its payment came late. Raises KG010, and KG002 for a
-- shop that is closed for good: nobody is there to deliver, and the money becomes a case.
CREATE OR REPLACE FUNCTION gate.hold_again(p_number text, p_expires_at timestamptz, p_at timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    caller bigint := gate.caller_id();
    held record;
    done integer := 0;
BEGIN
    IF EXISTS (SELECT 1 FROM public.tenants_substation s WHERE s.id = caller AND s.state = 'CLOSED') THEN
        RAISE EXCEPTION 'the shop is closed' USING ERRCODE = 'KG002';
    END IF;
    FOR held IN
        SELECT h.id, h.sku_id, h.quantity, h.policy FROM public.stock_hold h
        WHERE h.substation_id = caller AND h.order_number = p_number AND h.state = 'RELEASED'
        ORDER BY h.sku_id FOR UPDATE
    LOOP
        UPDATE public.stock_hold SET state = 'HELD', expires_at = p_expires_at, updated_at = p_at WHERE id = held.id;
        PERFORM public.stock_fill_hold(held.id, held.sku_id, held.policy, held.quantity);
        done := done + 1;
    END LOOP;
    RETURN done;
END
$$;
GRANT EXECUTE ON FUNCTION gate.hold_again(text, timestamptz, timestamptz) TO kameng_tenant;

-- The codes of one delivered order of the caller's, encrypted; each look is recorded before it is answered.
CREATE OR REPLACE FUNCTION gate.reveal_codes(
    p_number text, p_actor_kind text, p_actor_label text, p_reason text, p_ip text, p_at timestamptz)
RETURNS TABLE (code_id bigint, sku_id bigint, blob bytea, key_version text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    caller bigint := gate.caller_id();
BEGIN
    IF coalesce(p_reason, '') = '' THEN
        RAISE EXCEPTION 'A reason is wanted.' USING ERRCODE = 'KG014';
    END IF;
    RETURN QUERY
    WITH shown AS (
        SELECT c.id, c.sku_id, c.blob, c.key_version, c.position
        FROM public.stock_hold h JOIN public.stock_code c ON c.hold_id = h.id
        WHERE h.substation_id = caller AND h.order_number = p_number AND h.state = 'TAKEN' AND c.state = 'DELIVERED'
    ), noted AS (
        INSERT INTO public.stock_codereveal (code_id, substation_id, order_number, actor_kind, actor_label, reason, ip, at)
        SELECT s.id, caller, p_number, p_actor_kind, p_actor_label, p_reason, p_ip, p_at FROM shown s
    )
    SELECT s.id, s.sku_id, s.blob, s.key_version::text FROM shown s ORDER BY s.sku_id, s.position;
END
$$;
GRANT EXECUTE ON FUNCTION gate.reveal_codes(text, text, text, text, text, timestamptz) TO kameng_tenant;
