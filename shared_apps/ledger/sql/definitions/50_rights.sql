-- What leaves the ledger for the substations, and who may call what.

-- The lines of every substation's own accounts, for its statement. `own_minor` is the substation's side: what it is owed
-- grows with a positive amount. `parts` are the transfer's legs as its shop may see them.
CREATE OR REPLACE VIEW public.ledger_statement_feed AS
SELECT e.transfer_id * 256 + e.leg AS id, e.transfer_id, t.public_id AS transfer_public_id, e.leg, a.substation_id,
       split_part(a.code, ':', 3) AS account, t.kind, t.reference_type, t.reference, -e.amount_minor AS own_minor, e.currency,
       (SELECT jsonb_agg(jsonb_build_object('part', CASE
                   WHEN o.substation_id = a.substation_id THEN split_part(o.code, ':', 3)
                   WHEN o.code LIKE 'channel:%:clearing' THEN 'gross'
                   WHEN o.code LIKE 'channel:%:fee' THEN 'channel_fee'
                   WHEN o.code = 'main:revenue' AND t.kind IN ('invoice', 'credit_note') THEN 'plan'
                   WHEN o.code = 'main:revenue' THEN 'supply'
                   WHEN o.code = 'main:platform_fee' THEN 'platform_fee'
                   WHEN o.code = 'main:subsidy' THEN 'subsidy'
                   WHEN o.code LIKE 'tax:%' THEN 'tax'
                   WHEN o.code LIKE 'partner:%' THEN 'partner'
                   ELSE 'other' END, 'amount_minor', -x.amount_minor) ORDER BY x.leg)
        FROM public.ledger_entry x JOIN public.ledger_account o ON o.id = x.account_id
        WHERE x.transfer_id = e.transfer_id) AS parts,
       t.event_at, t.recorded_at, e.xid, a.id AS account_id
FROM public.ledger_entry e
JOIN public.ledger_account a ON a.id = e.account_id
JOIN public.ledger_transfer t ON t.id = e.transfer_id
WHERE a.substation_id IS NOT NULL AND a.code LIKE 'substation:%';

DO $$
DECLARE
    routine record;
BEGIN
    FOR routine IN
        SELECT p.oid::regprocedure AS name, p.proowner FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'ledger\_%'
    LOOP
        IF routine.proowner <> 'kameng_ledger'::regrole THEN
            EXECUTE format('ALTER FUNCTION %s OWNER TO kameng_ledger', routine.name);
        END IF;
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', routine.name);
    END LOOP;
    IF (SELECT c.relowner <> 'kameng_ledger'::regrole FROM pg_class c WHERE c.oid = 'public.ledger_statement_feed'::regclass) THEN
        ALTER VIEW public.ledger_statement_feed OWNER TO kameng_ledger;
    END IF;
END
$$;

GRANT EXECUTE ON FUNCTION
    public.ledger_open_account(text, text, text, bigint, bigint, timestamptz),
    public.ledger_close_account(text),
    public.ledger_post(text, text, text, text, bigint, timestamptz, text[], bigint[], text[], integer, jsonb, text, bigint),
    public.ledger_post_many(text[], text[], text[], text[], bigint[], timestamptz[], integer[], jsonb[], integer[], text,
        text[], integer[], bigint[]),
    public.ledger_reverse(text, bigint, text, timestamptz, jsonb, text),
    public.ledger_lock(text[]),
    public.ledger_lock_transfer(bigint),
    public.ledger_balance_minor(bigint),
    public.ledger_roll_up(timestamptz),
    public.ledger_seal(timestamptz, integer),
    public.ledger_leaves(bigint, bigint),
    public.ledger_block_hash(bytea, bigint, bigint, bigint, bytea)
TO kameng_main;
GRANT EXECUTE ON FUNCTION public.ledger_horizon() TO kameng_main, kameng_sync;
GRANT SELECT ON public.ledger_statement_feed TO kameng_main, kameng_sync;
