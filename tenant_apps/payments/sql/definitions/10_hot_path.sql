-- The payment's part of the hot path, as in orders' file of the same name: with the caller's own rights, on its own schema.

-- An order's row locked, so that it neither expires nor is paid while an attempt is made; the channel's name, the terms and
-- the open attempt of this account, if there is one.
CREATE OR REPLACE FUNCTION gate.payments_lock_order(p_number text, p_account bigint, p_at timestamptz)
RETURNS TABLE (id bigint, state text, expires_at timestamptz, total_minor bigint, cost_minor bigint, currency text,
    channel text, terms jsonb, open_payment bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    locked record;
BEGIN
    SELECT o.id, o.state, o.expires_at, o.total_minor, o.cost_minor, o.currency INTO locked
    FROM orders_order o WHERE o.number = p_number FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT locked.id, locked.state::text, locked.expires_at, locked.total_minor, locked.cost_minor, locked.currency::text,
           (SELECT c.channel FROM gate.channels() c WHERE c.account_id = p_account),
           (SELECT t.terms FROM gate.sale_terms(p_at) t),
           (SELECT p.id FROM payments_payment p WHERE p.order_id = locked.id AND p.account_id = p_account
               AND p.state IN ('CREATED', 'UNKNOWN', 'PENDING'));
END
$$;
GRANT EXECUTE ON FUNCTION gate.payments_lock_order(text, bigint, timestamptz) TO kameng_tenant;

-- Write an attempt down and announce it. Answers its id, or NULL when another click has opened one.
CREATE OR REPLACE FUNCTION gate.payments_begin(
    p_public_id text, p_order bigint, p_number text, p_channel text, p_account bigint, p_amount bigint, p_currency text,
    p_state text, p_at timestamptz, p_by_kind text, p_by_label text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    made bigint;
BEGIN
    INSERT INTO payments_payment AS p (public_id, order_id, channel, account_id, amount_minor, currency, state,
        channel_ref, redirect_url, qr_text, problem, created_at, updated_at)
    VALUES (p_public_id, p_order, p_channel, p_account, p_amount, p_currency, p_state, '', '', '', '', p_at, p_at)
    ON CONFLICT (order_id, account_id) WHERE state IN ('CREATED', 'UNKNOWN', 'PENDING') DO NOTHING
    RETURNING p.id INTO made;
    IF made IS NOT NULL THEN
        PERFORM gate.announce_payment(p_public_id, p_number, p_account, p_amount, p_currency, p_at);
        INSERT INTO orders_orderstep (order_id, at, subject, event, from_state, to_state, by_kind, by_label, note)
        VALUES (p_order, p_at, 'PAYMENT', 'BEGIN', '', p_state, p_by_kind, p_by_label, p_channel);
    END IF;
    RETURN made;
END
$$;
GRANT EXECUTE ON FUNCTION gate.payments_begin(text, bigint, text, text, bigint, bigint, text, text, timestamptz, text,
    text) TO kameng_tenant;

-- Move an attempt along, out of the states that its event may leave, with its step. Answers whether it moved.
CREATE OR REPLACE FUNCTION gate.payments_move(
    p_public_id text, p_event text, p_sources text[], p_target text, p_at timestamptz, p_by_kind text, p_by_label text,
    p_note text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    WITH moved AS (
        UPDATE payments_payment SET state = p_target, updated_at = p_at
        WHERE public_id = p_public_id AND state = ANY (p_sources)
        RETURNING order_id, channel, old.state AS state_before
    )
    INSERT INTO orders_orderstep (order_id, at, subject, event, from_state, to_state, by_kind, by_label, note)
    SELECT m.order_id, p_at, 'PAYMENT', p_event, m.state_before, p_target, p_by_kind, p_by_label,
        coalesce(nullif(p_note, ''), m.channel) FROM moved m;
    RETURN FOUND;
END
$$;
GRANT EXECUTE ON FUNCTION gate.payments_move(text, text, text[], text, timestamptz, text, text, text) TO kameng_tenant;

-- A whole checkout: the order placed and an attempt to pay it begun. Answers what gate.orders_place answers, and the attempt.
CREATE OR REPLACE FUNCTION gate.payments_checkout(
    p_payment text, p_account bigint, p_channel text, p_payment_state text,
    p_number text, p_token bytea, p_lookup bytea, p_contact text, p_state text, p_currency text, p_total bigint,
    p_fields jsonb, p_language text, p_ip text, p_source text, p_at timestamptz, p_pay_by timestamptz,
    p_hold_until timestamptz, p_hint text, p_by_kind text, p_by_label text, p_gate_lines jsonb, p_lines jsonb)
RETURNS TABLE (order_id bigint, sku_id bigint, cost_minor bigint, payment_id bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    line record;
BEGIN
    FOR line IN SELECT * FROM gate.orders_place(p_number, p_token, p_lookup, p_contact, p_state, p_currency, p_total,
        p_fields, p_language, p_ip, p_source, p_at, p_pay_by, p_hold_until, p_hint, p_by_kind, p_by_label, p_gate_lines,
        p_lines) LOOP
        IF payment_id IS NULL THEN
            payment_id := gate.payments_begin(p_payment, line.order_id, p_number, p_channel, p_account, p_total, p_currency,
                p_payment_state, p_at, p_by_kind, p_by_label);
        END IF;
        order_id := line.order_id;
        sku_id := line.sku_id;
        cost_minor := line.cost_minor;
        RETURN NEXT;
    END LOOP;
END
$$;
GRANT EXECUTE ON FUNCTION gate.payments_checkout(text, bigint, text, text, text, bytea, bytea, text, text, text, bigint,
    jsonb, text, text, text, timestamptz, timestamptz, timestamptz, text, text, text, jsonb, jsonb) TO kameng_tenant;

-- gate.orders_settle, and the attempt that brought the money has succeeded.
CREATE OR REPLACE FUNCTION gate.payments_settle(
    p_payment text, p_payment_event text, p_payment_sources text[], p_payment_target text,
    p_number text, p_order bigint, p_receipt text, p_codes text[], p_amounts bigint[], p_rule integer, p_earned bigint,
    p_at timestamptz, p_event text, p_sources text[], p_from text, p_paid text, p_final text, p_line_sources text[],
    p_by_kind text, p_by_label text, p_note text, p_jobs text[])
RETURNS TABLE (transfer_id text, job_ids bigint[])
LANGUAGE plpgsql AS $$
BEGIN
    SELECT s.transfer_id, s.job_ids INTO transfer_id, job_ids
    FROM gate.orders_settle(p_number, p_order, p_receipt, p_codes, p_amounts, p_rule, p_earned, p_at, p_event, p_sources,
        p_from, p_paid, p_final, p_line_sources, p_by_kind, p_by_label, p_note, p_jobs) s;
    WITH moved AS (
        UPDATE payments_payment SET state = p_payment_target, updated_at = p_at
        WHERE public_id = p_payment AND state = ANY (p_payment_sources)
        RETURNING order_id, old.state AS state_before
    )
    INSERT INTO orders_orderstep (order_id, at, subject, event, from_state, to_state, by_kind, by_label, note)
    SELECT m.order_id, p_at, 'PAYMENT', p_payment_event, m.state_before, p_payment_target, p_by_kind, p_by_label, p_receipt
    FROM moved m;
    RETURN NEXT;
END
$$;
GRANT EXECUTE ON FUNCTION gate.payments_settle(text, text, text[], text, text, bigint, text, text[], bigint[], integer,
    bigint, timestamptz, text, text[], text, text, text, text[], text, text, text, text[]) TO kameng_tenant;
