-- Who owns the ledger's tables, and what nobody may do to them.
-- Errors of the ledger:
--   KG101 the legs do not sum to zero          KG108 append-only
--   KG102 fewer than two legs, or a malformed   KG109 this server's transaction ids run behind the ledger's: rebase
--   KG103 no such account (detail: its code)    KG110 the account exists with other attributes
--   KG104 the account is closed                 KG111 the earlier transfer does not allow it
--   KG105 the account's currency is another     KG112 a guarded account wants READ COMMITTED
--   KG106 below the account's floor             KG113 the account is not empty
--   KG107 the key was used for something else   KG115 nothing to rebase

DO $$
DECLARE
    owned text;
BEGIN
    -- Only when it is not so yet: ALTER TABLE would wait for every open posting.
    FOR owned IN
        SELECT c.oid::regclass FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relowner <> 'kameng_ledger'::regrole
          AND c.relname IN ('ledger_account', 'ledger_transfer', 'ledger_entry', 'ledger_control', 'ledger_balance',
                            'ledger_dailybalance', 'ledger_block', 'ledger_leaf')
    LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO kameng_ledger', owned);
    END LOOP;
END
$$;

GRANT SELECT ON public.ledger_account, public.ledger_transfer, public.ledger_entry, public.ledger_control,
    public.ledger_balance, public.ledger_dailybalance, public.ledger_block, public.ledger_leaf TO kameng_main;

-- Transfers are written in the order of their transaction ids, but for the few that overlap: a BRIN index finds a range of
-- them, and costs next to nothing. (Entries are reached through their account or their transfer.)
DROP INDEX IF EXISTS public.ledger_entry_by_xid;
CREATE INDEX IF NOT EXISTS ledger_transfer_by_xid ON public.ledger_transfer USING brin (xid)
    WITH (pages_per_range = 16, autosummarize = on);
CREATE INDEX IF NOT EXISTS ledger_transfer_by_event ON public.ledger_transfer USING brin (event_at)
    WITH (pages_per_range = 16, autosummarize = on);

CREATE OR REPLACE FUNCTION public.ledger_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% on %: the ledger is append-only, and written by its functions alone.', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'KG108';
END
$$;

-- Statement level: they cost a posting nothing, and fire for every role, the owner and superusers too.
CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON public.ledger_transfer
    FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_refuse_change();
CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON public.ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_refuse_change();
CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON public.ledger_block
    FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_refuse_change();
CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON public.ledger_leaf
    FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_refuse_change();
CREATE OR REPLACE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON public.ledger_account
    FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_refuse_change();
CREATE OR REPLACE TRIGGER refuse_removal BEFORE DELETE OR TRUNCATE ON public.ledger_control
    FOR EACH STATEMENT EXECUTE FUNCTION public.ledger_refuse_change();
-- Of an account, only its closing may change.
CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE ON public.ledger_account FOR EACH ROW
    WHEN (NOT (current_user = 'kameng_ledger' AND OLD.state = 'OPEN' AND NEW.state = 'CLOSED'
        AND (OLD.id, OLD.code, OLD.class, OLD.currency, OLD.substation_id, OLD.created_at)
            IS NOT DISTINCT FROM (NEW.id, NEW.code, NEW.class, NEW.currency, NEW.substation_id, NEW.created_at)
        AND OLD.floor_minor IS NOT DISTINCT FROM NEW.floor_minor))
    EXECUTE FUNCTION public.ledger_refuse_change();
-- Accounts, blocks and leaves are added by the functions, which run as kameng_ledger, and by no member of it or superuser.
-- (Not so on transfers and entries: a WHEN is read anew at every statement. What is inserted there meets check_legs.)
CREATE OR REPLACE TRIGGER refuse_insert BEFORE INSERT ON public.ledger_account FOR EACH STATEMENT
    WHEN (current_user <> 'kameng_ledger') EXECUTE FUNCTION public.ledger_refuse_change();
CREATE OR REPLACE TRIGGER refuse_insert BEFORE INSERT ON public.ledger_block FOR EACH STATEMENT
    WHEN (current_user <> 'kameng_ledger') EXECUTE FUNCTION public.ledger_refuse_change();
CREATE OR REPLACE TRIGGER refuse_insert BEFORE INSERT ON public.ledger_leaf FOR EACH STATEMENT
    WHEN (current_user <> 'kameng_ledger') EXECUTE FUNCTION public.ledger_refuse_change();
